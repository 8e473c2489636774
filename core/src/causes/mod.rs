//! Catalogue of causes for which a workspace does not start, or does not stay up.
//!
//! A cause is one entry of one table ([`ALL`]): its patterns, its level, the text for its owner, who must act, its
//! metric label, and a real message that it was taken from. `docs/failures.md` is generated from the table. A message
//! that no entry recognizes keeps its text at the level of its type, and counts as [`UNKNOWN`].
//!
//! Entries recognize kinds of message, not one wording: versions of Kubernetes, its runtimes and its plugins use
//! different words for the same failure. Within a topic the first entry that matches wins, so a catch-all comes last.

mod containers;
mod controllers;
mod disruption;
mod explain;
mod images;
mod names;
mod node;
mod pattern;
mod refused;
mod scheduling;
mod symptom;
#[cfg(test)]
mod tests;
mod volumes;

use std::sync::LazyLock;

pub use self::explain::{Explanation, explain};
pub(crate) use self::{
    explain::{of_container_start, of_image_pull, of_node, of_preparation},
    scheduling::{is_preemption, reasons as scheduling_reasons},
    symptom::Symptom,
};
use self::{pattern::Pattern, symptom::Topic};
use crate::line::Level;

/// Entry of the catalogue: a cause of trouble.
#[derive(Debug)]
pub struct Cause {
    /// Metric label; never changes once released.
    pub id: &'static str,
    /// Group in the documentation.
    pub area: Area,
    /// Short description.
    pub title: &'static str,
    /// Level of its lines.
    pub level: Level,
    /// Party that can resolve it.
    pub actor: Actor,
    /// Patterns that recognize it; any of them is enough.
    patterns: &'static [Pattern],
    /// First part of the text for the owner: the cause. Placeholders are those of [`symptom::Symptom::fill`].
    pub why: &'static str,
    /// Second part of the text for the owner: who must act, and how.
    pub act: &'static str,
    /// Kubernetes reason and message that it was taken from. The reason is empty if the status has none.
    pub sample: (&'static str, &'static str),
}

/// Party that can resolve a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// The owner of the workspace.
    Owner,
    /// The author of the workspace's template.
    TemplateAuthor,
    /// An administrator of the cluster.
    Administrator,
    /// No action is needed: Kubernetes tries again, or it is progress.
    Nobody,
}

impl Actor {
    /// Returns the name in the documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::TemplateAuthor => "template author",
            Self::Administrator => "administrator",
            Self::Nobody => "nobody",
        }
    }
}

/// A group of causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// The API server refuses the pod: none ever exists.
    Refused,
    /// No node takes the pod.
    Scheduling,
    /// A volume is missing or cannot be mounted.
    Volumes,
    /// An image cannot be pulled.
    Images,
    /// The node, its network or its runtime.
    Node,
    /// A container cannot start, ends, or is not healthy.
    Containers,
    /// The pod is removed by the cluster.
    Disruption,
    /// A controller gives up.
    Controllers,
    /// No entry recognizes it.
    Unknown,
}

impl Area {
    /// Returns the heading in the documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "Refused: no pod ever exists",
            Self::Scheduling => "Not scheduled",
            Self::Volumes => "Volumes",
            Self::Images => "Images",
            Self::Node => "Node and sandbox",
            Self::Containers => "Containers",
            Self::Disruption => "Taken away",
            Self::Controllers => "Controllers",
            Self::Unknown => "Unknown",
        }
    }
}

/// Trouble that no entry recognizes.
pub static UNKNOWN: Cause = Cause {
    id: "unknown",
    area: Area::Unknown,
    title: "No entry recognizes the message, which is shown as it is",
    level: Level::Warn,
    actor: Actor::Nobody,
    patterns: &[],
    why: "",
    act: "",
    sample: ("", ""),
};

/// Every entry, in the order in which they are tried. [`UNKNOWN`] is not among them.
pub static ALL: [&[Cause]; 8] = [
    refused::CAUSES,
    scheduling::CAUSES,
    volumes::CAUSES,
    images::CAUSES,
    node::CAUSES,
    containers::CAUSES,
    disruption::CAUSES,
    controllers::CAUSES,
];

impl Cause {
    /// Returns every cause that can be counted, including [`UNKNOWN`].
    pub fn all() -> impl Iterator<Item = &'static Self> {
        ALL.into_iter().flatten().chain([&UNKNOWN])
    }

    /// Creates an entry of this area, to be completed by the other functions.
    const fn new(area: Area, id: &'static str, level: Level, actor: Actor, title: &'static str) -> Self {
        Self { id, area, title, level, actor, patterns: &[], why: "", act: "", sample: ("", "") }
    }

    const fn on(mut self, patterns: &'static [Pattern]) -> Self {
        self.patterns = patterns;
        self
    }

    const fn says(mut self, why: &'static str, act: &'static str) -> Self {
        self.why = why;
        self.act = act;
        self
    }

    const fn seen(mut self, reason: &'static str, message: &'static str) -> Self {
        self.sample = (reason, message);
        self
    }

    /// Returns the first entry that recognizes a symptom, with the words for its placeholders.
    fn find<'a>(symptom: &'a Symptom<'_>) -> Option<(&'static Self, Vec<&'a str>)> {
        /// The patterns of each topic, with their entries, in the order of the catalogue: most Events are of no entry,
        /// and would be compared with all of them.
        static OF_TOPIC: LazyLock<[Vec<(&Pattern, &Cause)>; Topic::COUNT]> = LazyLock::new(|| {
            let mut of_topic = [const { Vec::new() }; Topic::COUNT];
            for cause in ALL.into_iter().flatten() {
                for pattern in cause.patterns {
                    of_topic[pattern.topic as usize].push((pattern, cause));
                }
            }
            of_topic
        });
        OF_TOPIC[symptom.topic as usize].iter().find_map(|(pattern, cause)| Some((*cause, pattern.matches(symptom)?)))
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Cause {}
