//! Scenarios of a workspace's pod, simulated by kwok.

use std::fmt;

/// The annotation of a pod template that selects the scenario.
pub const ANNOTATION: &str = "scenario.test/name";

/// The annotation with the time at which a pod of [`Scenario::Evicted`] is evicted.
pub const EVICT_AT: &str = "scenario.test/evict-at";

/// A `ResourceQuota` of no pods; apply it to a namespace.
pub const QUOTA: &str = include_str!("../../scenarios/quota.yaml");

/// A pod that fits on no node; apply it to a namespace.
pub const UNSCHEDULABLE: &str = include_str!("../../scenarios/unschedulable.yaml");

/// A scenario of a scheduled pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scenario {
    /// A successful start.
    Normal,
    /// The image does not exist.
    WrongImage,
    /// The container keeps exiting with code 1.
    CrashLoop,
    /// The container is OOM-killed once and restarted.
    OomKilled,
    /// The pod is evicted from a node that is low on memory.
    Evicted,
}

impl Scenario {
    /// All scenarios.
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
