//! Events about the objects that pods depend on: their volume claims and their node.
//!
//! Such an Event goes to the pods that name the object in their own spec and existed when it happened. An Event of a
//! claim counts from the pod's creation on, so that nothing is reported about an earlier claim of the same name. An
//! Event of a node counts while the pod is on it. An Event may arrive before its pod does, so each is kept for a while.

use std::collections::{BTreeSet, HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::{
    Correlator, Counted, Effect,
    dedup::{Count, Decision},
    event_fact::of_dependency,
    fact::hash,
    report::{ByEvent, Report},
    tracked::Tracked,
};
use crate::{
    checkpoint::FactKey,
    dependency::Dependency,
    fact_id::{FactId, ScopeId},
    identity::Uid,
    object::{Event, Pod},
};

/// Time for which an Event is kept for pods that arrive after it.
const KEEP: SignedDuration = SignedDuration::from_mins(2);

/// Maximum number of kept Events. Beyond it, the oldest is forgotten.
const KEPT: usize = 2_000;

/// Maximum number of kept Events about one object. Beyond it, new ones are dropped until the kept ones are forgotten,
/// so that a flood of Events about one node costs each of its pods little. The kubelet and the controllers combine
/// similar Events after ten.
const KEPT_EACH: usize = 16;

/// Minimum time between two reports of an Event. One that is repeated sooner waits, and its latest state is reported.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// Maximum number of pods that depend on one object. Its Events are not reported to further pods.
const PODS: usize = 10_000;

/// Pods that depend on each object, and the latest Events about it.
#[derive(Debug, Default)]
pub(super) struct Dependencies {
    pods: HashMap<Dependency, BTreeSet<Uid>>,
    kept: HashMap<Dependency, Vec<Kept>>,
    /// Object of each kept Event, the oldest first.
    order: VecDeque<Dependency>,
}

/// A kept Event.
#[derive(Debug)]
struct Kept {
    scope: ScopeId,
    event: Event,
    arrived: Timestamp,
    reported: Timestamp,
    /// True if it was repeated within [`PAUSE`].
    waits: bool,
}

/// Decision on an Event.
#[derive(Debug, PartialEq, Eq)]
enum Admission {
    /// Report it to the pods now.
    Report,
    /// Report it later: it was reported a moment ago.
    Wait,
    /// Drop it: there are too many.
    Full,
}

impl Dependencies {
    /// Records that a pod depends on an object. Returns false if too many do.
    fn attach(&mut self, dependency: &Dependency, pod: Uid) -> bool {
        let pods = self.pods.entry(dependency.clone()).or_default();
        let has_room = pods.len() < PODS;
        if has_room {
            pods.insert(pod);
        }
        has_room
    }

    fn detach(&mut self, dependency: &Dependency, pod: Uid) {
        if let Some(pods) = self.pods.get_mut(dependency) {
            pods.remove(&pod);
            if pods.is_empty() {
                self.pods.remove(dependency);
            }
        }
    }

    fn pods(&self, dependency: &Dependency) -> Vec<Uid> {
        self.pods.get(dependency).into_iter().flatten().copied().collect()
    }

    /// Keeps an Event in place of its earlier state.
    fn keep(&mut self, now: Timestamp, dependency: &Dependency, scope: ScopeId, event: &Event) -> Admission {
        let kept = self.kept.entry(dependency.clone()).or_default();
        if let Some(known) = kept.iter_mut().find(|known| known.event.metadata.uid == event.metadata.uid) {
            known.event = event.clone();
            known.waits = now.duration_since(known.reported) < PAUSE;
            if known.waits {
                return Admission::Wait;
            }
            known.reported = now;
            return Admission::Report;
        }
        if kept.len() >= KEPT_EACH {
            return Admission::Full;
        }
        kept.push(Kept { scope, event: event.clone(), arrived: now, reported: now, waits: false });
        self.order.push_back(dependency.clone());
        if self.order.len() > KEPT {
            self.forget_oldest();
        }
        Admission::Report
    }

    fn forget_oldest(&mut self) {
        let Some(dependency) = self.order.pop_front() else { return };
        let Some(kept) = self.kept.get_mut(&dependency) else { return };
        if !kept.is_empty() {
            kept.remove(0);
        }
        if kept.is_empty() {
            self.kept.remove(&dependency);
        }
    }

    /// Takes the Events at the end of their pause, and forgets those that were kept long enough.
    fn take_due(&mut self, now: Timestamp) -> Vec<(Dependency, ScopeId, Event)> {
        let mut due = Vec::new();
        for (dependency, kept) in &mut self.kept {
            for known in kept.iter_mut().filter(|known| known.waits) {
                if now.duration_since(known.reported) >= PAUSE {
                    (known.waits, known.reported) = (false, now);
                    due.push((dependency.clone(), known.scope, known.event.clone()));
                }
            }
        }
        due.sort_by_key(|(_, scope, event)| (*scope, event.metadata.revision()));
        while let Some(oldest) = self.order.front().and_then(|dependency| self.kept.get(dependency)?.first()) {
            if now.duration_since(oldest.arrived) <= KEEP || oldest.waits {
                break;
            }
            self.forget_oldest();
        }
        due
    }

    fn kept(&self, dependency: &Dependency) -> Vec<(ScopeId, Event)> {
        let kept = self.kept.get(dependency).into_iter().flatten();
        kept.map(|kept| (kept.scope, kept.event.clone())).collect()
    }
}

impl Correlator {
    /// Handles an Event about an object that pods may depend on. It is a fact of each pod that it concerns.
    pub(super) fn event_of_dependency(
        &mut self,
        now: Timestamp,
        scope: ScopeId,
        dependency: &Dependency,
        event: &Event,
        effects: &mut Vec<Effect>,
    ) {
        let pods = self.dependencies.pods(dependency);
        let mut ends_as = |outcome| effects.extend([Counted::Observed, outcome].map(Effect::Count));
        // An Event from before a restart is only for the pods to which it was not delivered.
        let admission = if self.past.is_old(scope, event.metadata.revision().unwrap_or_default()) {
            Admission::Report
        } else {
            self.dependencies.keep(now, dependency, scope, event)
        };
        match admission {
            _ if pods.is_empty() => ends_as(Counted::NonWorkspace),
            Admission::Report => {
                for pod in pods {
                    self.report_dependency(now, pod, scope, dependency, event, effects);
                }
            }
            Admission::Wait => ends_as(Counted::Collapsed),
            Admission::Full => ends_as(Counted::Overflow),
        }
    }

    /// Reports the Events at the end of their pause.
    pub(super) fn report_due_dependencies(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for (dependency, scope, event) in self.dependencies.take_due(now) {
            for pod in self.dependencies.pods(&dependency) {
                self.report_dependency(now, pod, scope, &dependency, &event, effects);
            }
        }
    }

    /// Updates the dependencies of a pod, and reports the kept Events about new ones.
    pub(super) fn note_dependencies(&mut self, now: Timestamp, uid: Uid, pod: &Pod, effects: &mut Vec<Effect>) {
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        tracked.note_stay(pod, now);
        let all = Dependency::of_pod(pod, &tracked.subject.namespace);
        if *tracked.dependencies == *all {
            return;
        }
        let before = std::mem::replace(&mut tracked.dependencies, all.clone().into());
        for dependency in before.iter().filter(|dependency| !all.contains(dependency)) {
            self.dependencies.detach(dependency, uid);
        }
        for dependency in all.iter().filter(|dependency| !before.contains(dependency)) {
            if self.dependencies.attach(dependency, uid) {
                self.replay_dependency(now, uid, dependency, effects);
            } else {
                effects.push(Effect::Count(Counted::TooMany));
            }
        }
    }

    /// Reports the kept Events about all dependencies of a pod. Events that it already has are duplicates.
    pub(super) fn replay_dependencies(&mut self, now: Timestamp, uid: Uid, effects: &mut Vec<Effect>) {
        let dependencies = self.tracked.get(&uid).map(|tracked| tracked.dependencies.clone());
        for dependency in dependencies.iter().flat_map(|all| all.iter()) {
            self.replay_dependency(now, uid, dependency, effects);
        }
    }

    fn replay_dependency(&mut self, now: Timestamp, uid: Uid, dependency: &Dependency, effects: &mut Vec<Effect>) {
        for (scope, event) in self.dependencies.kept(dependency) {
            self.report_dependency(now, uid, scope, dependency, &event, effects);
        }
    }

    /// Removes a pod that is no longer tracked.
    pub(super) fn forget_dependencies(&mut self, tracked: &Tracked) {
        for dependency in tracked.dependencies.iter() {
            self.dependencies.detach(dependency, tracked.subject.uid);
        }
    }

    fn report_dependency(
        &mut self,
        now: Timestamp,
        uid: Uid,
        scope: ScopeId,
        dependency: &Dependency,
        event: &Event,
        effects: &mut Vec<Effect>,
    ) {
        let revision = event.metadata.revision().unwrap_or_default();
        if self.past.is_old(scope, revision) && !self.past.is_pending_since(scope, uid, revision) {
            return;
        }
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let concerned = event.time().is_none_or(|at| tracked.depended_at(dependency, at));
        if tracked.left || tracked.missing.is_some() || !concerned {
            return;
        }
        let at = event.time().unwrap_or(now);
        let Some(fact) = of_dependency(dependency, &tracked.subject, event) else { return };
        let count = tracked.count(dependency, event, at);
        let key = fact.cause.key;
        effects.push(Effect::Count(Counted::Observed));
        let decision = if fact.once {
            match tracked.dedup.status(fact.cause, at, now) {
                Decision::Duplicate => return effects.push(Effect::Count(Counted::Collapsed)),
                decision => decision,
            }
        } else {
            tracked.dedup.event(fact.cause, count, false, Timestamp::MIN, now)
        };
        let fact_id = FactId { scope, revision, subject: uid, fact: FactKey::EVENT };
        let report = Report::new(fact.kind, at, Some(fact_id));
        self.apply(now, uid, (key, decision), report, Some(ByEvent { explained_by: fact.explained_by }), effects);
    }
}

impl Tracked {
    /// Records when the pod got its node, and when it was first seen to have ended there.
    fn note_stay(&mut self, pod: &Pod, now: Timestamp) {
        let is_scheduled = |kind: &str, status: &str| kind == "PodScheduled" && status == "True";
        let scheduled = pod.status.conditions.iter().find(|condition| is_scheduled(&condition.kind, &condition.status));
        let scheduled = scheduled.and_then(|condition| condition.last_transition_time).or(pod.status.start_time);
        self.scheduled = self.scheduled.or(scheduled);
        if matches!(pod.status.phase.as_str(), "Succeeded" | "Failed") {
            self.ended_at.get_or_insert(now);
        }
    }

    /// True if an Event about this dependency at this time concerns the pod. Allows for clocks of whole seconds.
    fn depended_at(&self, dependency: &Dependency, time: Timestamp) -> bool {
        let on_node = match dependency {
            Dependency::Claim { .. } => true,
            Dependency::Node(_) => {
                self.scheduled.is_none_or(|since| since.as_second() <= time.as_second() + 1)
                    && self.ended_at.is_none_or(|end| time.as_second() <= end.as_second() + 1)
            }
        };
        on_node && self.lived_at(time)
    }

    /// Returns an Event's count. If the Event began before it concerned this pod, each new state counts once.
    fn count(&self, dependency: &Dependency, event: &Event, at: Timestamp) -> Count {
        let uid = event.metadata.uid.unwrap_or(self.subject.uid);
        let since = event.since().unwrap_or(at);
        if self.depended_at(dependency, since) {
            return Count { event: uid, times: event.times(), since, at };
        }
        let state = hash(&(uid, event.times()));
        let event = Uid::parse(&state.to_string()).unwrap_or(uid);
        Count { event, times: 1, since: at, at }
    }
}
