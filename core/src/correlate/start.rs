//! Starts of workspaces, for metrics and operators: the causes of failed ones, and the time of successful ones.

use jiff::{SignedDuration, Timestamp};

use super::{Arrival, Correlator, Effect, Object, tracked::Tracked};
use crate::{
    causes::{Cause, Explanation},
    identity::{Subject, Uid},
    line::Level,
    object::Pod,
    workspace::Owner,
};

/// A start of a workspace, or of one of its pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The pod or workload.
    pub subject: Subject,
    /// Owner and workspace, from its own labels or those of a workload above it.
    pub owner: Owner,
    /// Time since its creation.
    pub duration: SignedDuration,
}

/// Progress of an object's start.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Causes of its trouble so far, each once.
    causes: Vec<&'static Cause>,
    /// True once it ran.
    ran: bool,
}

impl Progress {
    /// Adds causes. Returns the new ones.
    fn learn(&mut self, explanation: &Explanation) -> Vec<&'static Cause> {
        let known = &self.causes;
        let new: Vec<_> = explanation.causes.iter().copied().filter(|cause| !known.contains(cause)).collect();
        self.causes.extend(&new);
        new
    }
}

impl Tracked {
    fn start(&self, at: Timestamp, owner: Owner) -> Start {
        let duration = self.created.map_or(SignedDuration::ZERO, |created| at.duration_since(created));
        Start { subject: self.subject.clone(), owner, duration: duration.max(SignedDuration::ZERO) }
    }

    /// Records trouble that became a line. Each cause counts once for each object.
    pub(super) fn fail(
        &mut self,
        at: Timestamp,
        level: Level,
        explanation: &Explanation,
        owner: &Owner,
        effects: &mut Vec<Effect>,
    ) {
        if level < Level::Warn {
            return;
        }
        for cause in self.progress.learn(explanation) {
            effects.push(Effect::StartFailed { start: self.start(at, owner.clone()), cause });
        }
    }
}

/// Returns the owner of an object's workspace, from the object's own metadata.
pub(super) fn owner(object: &Object, subject: &Subject) -> Owner {
    let (meta, template) = match object {
        Object::Pod(pod) => (&pod.metadata, None),
        Object::Workload(_, workload) => (&workload.metadata, Some(&workload.spec.template.metadata)),
    };
    let sources: Vec<_> = [meta].into_iter().chain(template).collect();
    Owner::derive(&sources, &subject.name, &subject.namespace)
}

/// Maximum length of an owner chain: a pod, its ReplicaSet and its Deployment.
const CHAIN: usize = 3;

impl Correlator {
    /// Returns the owner of an object's workspace, from the object itself or from a workload above it. When a prebuilt
    /// workspace is claimed, the labels of its pod stay and those of its Deployment change.
    pub(super) fn owner_of(&self, uid: Uid) -> Owner {
        let object = self.tracked.get(&uid).map(Box::as_ref);
        let chain = std::iter::successors(object, |object| self.controller_of(object)).take(CHAIN);
        let owners: Vec<&Owner> = chain.map(|tracked| &tracked.owner).collect();
        let owner = owners.iter().find(|owner| owner.is_person()).or(owners.first());
        owner.map_or_else(|| Owner { user: String::new(), workspace: String::new() }, |owner| (*owner).clone())
    }

    /// Updates the owner of a tracked object. When a prebuilt workspace is claimed, its owner changes, and its agent
    /// with it.
    pub(super) fn note_owner(&mut self, object: &Object, subject: &Subject, effects: &mut Vec<Effect>) {
        let Some(tracked) = self.tracked.get_mut(&subject.uid) else { return };
        let before = std::mem::replace(&mut tracked.owner, owner(object, subject));
        if before.user != tracked.owner.user && !before.user.is_empty() {
            effects.extend(tracked.agents.iter().copied().map(Effect::Claimed));
        }
    }
}

/// Returns the time at which the last container of a running pod started, or now if the status does not show it; `None`
/// if a container does not run.
fn running_since(pod: &Pod, now: Timestamp) -> Option<Timestamp> {
    let containers = &pod.status.container_statuses;
    let all = !containers.is_empty() && containers.iter().all(|container| container.state.running.is_some());
    let started = containers.iter().filter_map(|container| container.state.running.as_ref()?.started_at).max();
    (all && pod.status.phase == "Running").then_some(started.unwrap_or(now))
}

impl Correlator {
    /// Records that a pod runs, the first time that the watch shows it.
    pub(super) fn note_running(
        &mut self,
        now: Timestamp,
        uid: Uid,
        pod: &Pod,
        (known, how): (bool, Arrival),
        effects: &mut Vec<Effect>,
    ) {
        let owner = self.owner_of(uid);
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let Some(since) = running_since(pod, now).filter(|_| !tracked.progress.ran) else { return };
        tracked.progress.ran = true;
        // A pod that a list shows as running may have run for long.
        if known || how == Arrival::Watched {
            let start = tracked.start(since, owner);
            effects.push(Effect::Started { start, after: tracked.progress.causes.clone() });
        }
    }
}
