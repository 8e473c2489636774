//! What can happen to a workspace's pod, as kwok plays it.

use std::fmt;

/// The annotation in a pod template that chooses the scenario.
pub const ANNOTATION: &str = "scenario.test/name";

/// The annotation that says when a pod of [`Scenario::Evicted`] is evicted.
pub const EVICT_AT: &str = "scenario.test/evict-at";

/// A `ResourceQuota` under which no pod can be made; apply it to a namespace.
pub const QUOTA: &str = include_str!("../../scenarios/quota.yaml");

/// A pod that no node has room for; apply it to a namespace.
pub const UNSCHEDULABLE: &str = include_str!("../../scenarios/unschedulable.yaml");

/// What happens to a pod once it has a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scenario {
    /// Init containers, image, container: as it should be.
    Normal,
    /// The image does not exist.
    WrongImage,
    /// The container exits with code 1, again and again.
    CrashLoop,
    /// The container is killed for its memory once, and started again.
    OomKilled,
    /// The pod is evicted from a node short of memory.
    Evicted,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Normal, Self::WrongImage, Self::CrashLoop, Self::OomKilled, Self::Evicted];

    /// The value of [`ANNOTATION`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::WrongImage => "wrong-image",
            Self::CrashLoop => "crash-loop",
            Self::OomKilled => "oom-killed",
            Self::Evicted => "evicted",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
