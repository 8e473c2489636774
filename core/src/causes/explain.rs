//! Causes of a finding, and the sentences about them.

use super::{
    Area, Cause, UNKNOWN, scheduling,
    symptom::{Symptom, Topic},
};
use crate::{finding::FindingKind, line::Level, object::Event};

/// Explanation of a finding by the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Causes, the most important one first; [`UNKNOWN`] for trouble that no entry recognizes, none for progress.
    pub causes: Vec<&'static Cause>,
    /// Level of the line, if the entries set one.
    pub level: Option<Level>,
    /// Sentences with the cause in plain words, then who must act and how.
    pub sentence: Option<String>,
}

/// Explains a finding.
pub fn explain(kind: &FindingKind) -> Explanation {
    let Some(symptom) = Symptom::of(kind) else { return Explanation::of(None, None) };
    if symptom.topic == Topic::Scheduling {
        return scheduling(&symptom.text);
    }
    let Some((cause, words)) = Cause::find(&symptom) else { return Explanation::of(None, trouble(kind)) };
    let sentence = [cause.why, cause.act].map(|sentence| symptom.fill(sentence, &words));
    let sentence = sentence.iter().map(|sentence| sentence.trim()).filter(|sentence| !sentence.is_empty());
    let sentence = sentence.collect::<Vec<_>>().join(" ");
    Explanation::of((!sentence.is_empty()).then_some(sentence), Some(cause))
}

/// Returns the cause of a failed image pull, if an entry recognizes it.
pub(crate) fn of_image_pull(message: &str, image: &str) -> Option<&'static Cause> {
    let symptom = Symptom::image("ErrImagePull", message, image);
    Cause::find(&symptom).map(|(cause, _)| cause)
}

/// Catch-all entries: the failures under them are distinguished by the words of their messages.
const CATCH_ALLS: [&str; 9] = [
    "container_config",
    "container_start",
    "network_setup",
    "sandbox",
    "volume_attach_timeout",
    "volume_mount",
    "volume_provisioning_failed",
    "volume_resize",
    "volume_timeout",
];

/// Returns the cause for which a container cannot be created or started, and the names of what it lacks, if an entry
/// other than a catch-all recognizes it.
pub(crate) fn of_container_start(reason: &str, message: &str) -> Option<(&'static str, Vec<String>)> {
    specific(&Symptom::new(Topic::Container, reason, message.strip_prefix("Error: ").unwrap_or(message)))
}

/// Returns the same for an Event about a volume, a sandbox or a network.
pub(crate) fn of_preparation(kind: &FindingKind) -> Option<(&'static str, Vec<String>)> {
    let symptom = Symptom::of(kind).filter(|symptom| matches!(symptom.topic, Topic::Volume | Topic::Sandbox))?;
    specific(&symptom)
}

/// Entries about a node that matter to its pods.
const OF_NODES: [&str; 7] = [
    "disruption_blocked",
    "node_lost",
    "node_pressure",
    "node_rebooted",
    "node_removed",
    "node_shutdown_coming",
    "node_system_oom",
];

/// Returns the cause of an Event about a node, if it matters to the node's pods.
pub(crate) fn of_node(event: &Event) -> Option<&'static Cause> {
    let symptom = Symptom::new(Topic::Event, &event.reason, &event.message);
    Cause::find(&symptom).map(|(cause, _)| cause).filter(|cause| OF_NODES.contains(&cause.id))
}

fn specific(symptom: &Symptom<'_>) -> Option<(&'static str, Vec<String>)> {
    let (cause, words) = Cause::find(symptom)?;
    let names = words.into_iter().map(str::to_owned).collect();
    (!CATCH_ALLS.contains(&cause.id)).then_some((cause.id, names))
}

impl Explanation {
    fn of(sentence: Option<String>, cause: Option<&'static Cause>) -> Self {
        let level = cause.filter(|cause| cause.area != Area::Unknown).map(|cause| cause.level);
        Self { causes: cause.into_iter().collect(), level, sentence }
    }
}

/// Returns [`UNKNOWN`] for trouble that no entry recognizes.
fn trouble(kind: &FindingKind) -> Option<&'static Cause> {
    let progress = matches!(kind, FindingKind::Event { warning: false, .. });
    (!progress).then_some(&UNKNOWN)
}

/// Explains each reason of the scheduler, and gives the advice for the one that comes first in the catalogue.
fn scheduling(message: &str) -> Explanation {
    let mut found: Vec<(&'static Cause, String, String)> = Vec::new();
    for (nodes, reason) in scheduling::reasons(message) {
        let symptom = Symptom::new(Topic::Scheduling, "FailedScheduling", &reason);
        let other = || nodes.and_then(|_| Some((scheduling::other()?, Vec::new())));
        let Some((cause, words)) = Cause::find(&symptom).or_else(other) else { continue };
        let said = |sentence: &str| symptom.fill(&scheduling::phrase(sentence, nodes, &symptom.text), &words);
        let (why, act) = (said(cause.why), said(cause.act));
        if found.iter().all(|(_, known, _)| *known != why) {
            found.push((cause, why, act));
        }
    }
    let place = |cause: &Cause| scheduling::CAUSES.iter().position(|entry| entry == cause);
    let Some(first) = found.iter().min_by_key(|(cause, ..)| place(cause)) else {
        return Explanation::of(None, Some(&UNKNOWN));
    };
    // While other pods make room, nothing else has to be done.
    if first.0.level == Level::Debug {
        return Explanation::of(Some(format!("{}. {}", first.1, first.2)), Some(first.0));
    }
    let whys = found.iter().map(|(_, why, _)| why.trim_end_matches('.')).collect::<Vec<_>>().join("; ");
    let about_nodes = found.iter().any(|(cause, ..)| cause.why.starts_with("{n}"));
    let sentence = if about_nodes {
        format!("No node can take the workspace now: {whys}. {}", first.2)
    } else {
        format!("{whys}. {}", first.2)
    };
    let level = found.iter().map(|(cause, ..)| cause.level).max();
    let mut causes: Vec<_> = found.iter().map(|(cause, ..)| *cause).collect();
    causes.sort_by_key(|cause| place(cause));
    causes.dedup();
    Explanation { causes, level, sentence: Some(sentence) }
}
