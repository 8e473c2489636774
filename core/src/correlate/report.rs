//! Decides for each fact: report it, count it, or hold it until its pause ends.

use jiff::Timestamp;

use super::{
    Correlator, Counted, Effect,
    cause::without_numbers,
    dedup::{Cause, Count, Decision, ExplainedBy, Held, Key},
    event_fact::{container, of_event},
    fact::{cause, hash},
    tracked::{HELD, Tracked},
};
use crate::{
    causes::explain,
    checkpoint::FactKey,
    fact_id::FactId,
    finding::{Finding, FindingKind, Repeat},
    identity::{Subject, Uid},
    object::Event,
    render::level_of,
    resource::Kind,
};

/// A fact to be reported.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) kind: FindingKind,
    pub(super) at: Timestamp,
    pub(super) fact_id: Option<FactId>,
    /// Object that the fact is about, if it is not the one that reports it.
    pub(super) about: Option<Subject>,
}

impl Report {
    pub(super) fn new(kind: FindingKind, at: Timestamp, fact_id: Option<FactId>) -> Self {
        Self { kind, at, fact_id, about: None }
    }
}

/// Number of pods of one workload that are each announced. A further one is only counted.
const ANNOUNCED: u32 = 3;

/// Number of removed or failed pods of one workload after which a new pod is only counted.
const STORM: u32 = 2;

/// Origin of a fact in an Event: the checkpoint waits for the fact while it is held. Also has the fact that makes the
/// Event superfluous.
pub(super) struct ByEvent {
    pub(super) explained_by: Option<ExplainedBy>,
}

/// True for causes that a workload's next pod may report again.
fn is_trouble(kind: &FindingKind) -> bool {
    !matches!(
        kind,
        FindingKind::Created
            | FindingKind::Deleted
            | FindingKind::Recovered { .. }
            | FindingKind::SlowPull { .. }
            | FindingKind::Event { warning: false, .. }
    )
}

impl Correlator {
    /// Handles an Event about a tracked object.
    pub(super) fn handle_event(
        &mut self,
        now: Timestamp,
        uid: Uid,
        event: &Event,
        fact_id: FactId,
        effects: &mut Vec<Effect>,
    ) {
        let at = event.time().unwrap_or(now);
        let count = Count {
            event: event.metadata.uid.unwrap_or(uid),
            times: event.times(),
            since: event.since().unwrap_or(at),
            at,
        };
        let Some(tracked) = self.tracked.get(&uid) else { return };
        let status_until = self.past.status_until(tracked.scope);
        let fact = of_event(&tracked.subject, event, &tracked.images);
        if fact.explained_by.as_ref().is_some_and(|by| self.is_explained(tracked, by)) {
            return effects.push(Effect::Count(Counted::Collapsed));
        }
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let container = (container(event), tracked.images.kind_of(event));
        if tracked.subject.kind == Kind::Pod && tracked.pulls.note(container, event, now) {
            self.schedule(uid);
        }
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let key = fact.cause.key;
        if tracked.only_counted && (fact.once || event.reason == "Scheduled") {
            return effects.push(Effect::Count(Counted::Collapsed));
        }
        let decision = if fact.once {
            match tracked.dedup.status(fact.cause, at, now) {
                Decision::Duplicate => return effects.push(Effect::Count(Counted::Collapsed)),
                decision => decision,
            }
        } else {
            tracked.dedup.event(fact.cause, count, fact.explained_by.is_some(), status_until, now)
        };
        let report = Report::new(fact.kind, at, Some(fact_id));
        let by = ByEvent { explained_by: fact.explained_by };
        self.apply(now, uid, (key, decision), report, Some(by), effects);
    }

    /// Carries out a decision on a fact.
    pub(super) fn apply(
        &mut self,
        now: Timestamp,
        uid: Uid,
        (key, decision): (Key, Decision),
        report: Report,
        by: Option<ByEvent>,
        effects: &mut Vec<Effect>,
    ) {
        match decision {
            Decision::Duplicate => effects.push(Effect::Count(Counted::Known)),
            Decision::Report(None) if is_trouble(&report.kind) => {
                self.report_for_workload(now, uid, report, by.is_some(), effects);
            }
            Decision::Report(repeat) => self.report_fact(uid, report, repeat, effects),
            Decision::Defer => {
                effects.push(Effect::Count(Counted::Collapsed));
                self.hold(now, uid, key, report, by, effects);
            }
        }
        self.ack_released(uid, effects);
    }

    /// Announces an object or its end. If the pods of a workload fail one after the other, only the first few are
    /// announced.
    pub(super) fn announce(&mut self, now: Timestamp, uid: Uid, report: Report, effects: &mut Vec<Effect>) {
        effects.push(Effect::Count(Counted::Observed));
        self.report_for_workload(now, uid, report, false, effects);
    }

    /// Reports a fact of a pod, or counts it as a repeat of its workload. A workload creates a new pod for each that is
    /// evicted or refused, and the new one fails the same way: for the reader that is a repeat.
    fn report_for_workload(
        &mut self,
        now: Timestamp,
        uid: Uid,
        mut report: Report,
        by_event: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(tracked) = self.tracked.get(&uid) else { return };
        let subject = tracked.subject.clone();
        // A ReplicaSet's Deployment outlives its agents.
        let controller = self.workload_of(uid).filter(|_| subject.kind == Kind::Pod);
        let Some((workload, dedup)) = controller.and_then(|uid| Some((uid, &mut self.tracked.get_mut(&uid)?.dedup)))
        else {
            return self.report_fact(uid, report, None, effects);
        };
        // Pods that are created, removed and deleted one after the other are one storm.
        let pods = hash(&"pods");
        let announced = [hash(&"pods created"), hash(&"pods deleted")];
        let free = if dedup.times_of_others(pods, &announced) < STORM { ANNOUNCED } else { 0 };
        let (key, decision) = match &report.kind {
            FindingKind::Evicted { message } | FindingKind::Failed { message, .. } => {
                let key = hash(&("pods end", without_numbers(message)));
                (key, dedup.incident(Cause::from(key).of_family(pods), report.at, now))
            }
            FindingKind::Created | FindingKind::Deleted => {
                let key = announced[usize::from(report.kind == FindingKind::Deleted)];
                (key, dedup.incident_after(free, Cause::from(key).of_family(pods), report.at, now))
            }
            kind => {
                let Cause { key, parts, family } = cause(kind);
                let family = if matches!(kind, FindingKind::Disrupted { .. }) { pods } else { family };
                let key = hash(&("pods", key, parts));
                (key, dedup.incident(Cause::from(key).of_family(family), report.at, now))
            }
        };
        match decision {
            Decision::Report(repeat) => self.report_fact(uid, report, repeat, effects),
            Decision::Duplicate => effects.push(Effect::Count(Counted::Known)),
            Decision::Defer => {
                effects.push(Effect::Count(Counted::Collapsed));
                let by = by_event.then_some(ByEvent { explained_by: None });
                if report.kind == FindingKind::Created
                    && let Some(tracked) = self.tracked.get_mut(&uid)
                {
                    tracked.only_counted = true;
                }
                report.about = Some(subject);
                self.hold(now, workload, key, report, by, effects);
            }
        }
        self.ack_released(workload, effects);
    }

    /// Returns the workload that an object belongs to. Owner references can be forged, and held facts of a pod are
    /// reported to its workload's agents. So the workload must be in the same namespace, and each of its agents must
    /// also be the object's.
    pub(super) fn workload_of(&self, uid: Uid) -> Option<Uid> {
        let object = self.tracked.get(&uid)?;
        let workload = self.controller_of(object)?;
        let is_its_own = workload.agents.iter().all(|agent| object.agents.contains(agent));
        is_its_own.then_some(workload.subject.uid)
    }

    /// Returns the tracked controller of an object. A forged owner reference cannot lead to one in another namespace.
    pub(super) fn controller_of(&self, object: &Tracked) -> Option<&Tracked> {
        let controller = self.tracked.get(&object.controller?)?;
        (controller.subject.namespace == object.subject.namespace).then_some(controller)
    }

    fn hold(
        &mut self,
        now: Timestamp,
        uid: Uid,
        key: Key,
        report: Report,
        by: Option<ByEvent>,
        effects: &mut Vec<Effect>,
    ) {
        let Report { kind, at, fact_id, about } = report;
        // A status has no Event that could be read again: its object would be announced twice.
        let keeps_fact = by.is_some();
        let held = Held { kind, at, fact_id, about, keeps_fact, explained_by: by.and_then(|by| by.explained_by) };
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        if tracked.dedup.hold(key, now, held) {
            effects.extend(fact_id.map(Effect::Hold));
        }
        self.schedule(uid);
    }

    /// Reports the held facts that are due.
    pub(super) fn report_due(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some(&(due, uid)) = self.due.first().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, uid));
            if let Some(tracked) = self.tracked.get_mut(&uid) {
                tracked.due = None;
            }
            self.report_held_until(now, uid, effects);
            self.report_slow_pulls(now, uid, effects);
            self.report_steady(now, uid, effects);
            self.schedule(uid);
        }
    }

    /// Reports all held facts of an object, before a later fact makes them outdated.
    pub(super) fn report_all_held(&mut self, uid: Uid, effects: &mut Vec<Effect>) {
        self.report_held_until(Timestamp::MAX, uid, effects);
        self.schedule(uid);
    }

    fn report_held_until(&mut self, until: Timestamp, uid: Uid, effects: &mut Vec<Effect>) {
        while let Some((key, held)) = self.tracked.get_mut(&uid).and_then(|tracked| tracked.dedup.take_due(until)) {
            let Held { kind, at, fact_id, about, keeps_fact, explained_by } = held;
            let Some(tracked) = self.tracked.get(&uid) else { return };
            let explained = explained_by.is_some_and(|by| self.is_explained(tracked, &by));
            if !explained && let Some(tracked) = self.tracked.get_mut(&uid) {
                let repeat = tracked.dedup.report_held(key, at, until);
                self.report(uid, Report { kind, at, fact_id, about }, repeat, effects);
            }
            effects.extend(fact_id.filter(|_| keeps_fact).map(Effect::Ack));
        }
        self.ack_released(uid, effects);
    }

    fn is_explained(&self, tracked: &Tracked, by: &ExplainedBy) -> bool {
        match by {
            ExplainedBy::Fact(keys) | ExplainedBy::FactLater(keys) => tracked.dedup.has_reported(keys),
            ExplainedBy::Pod(name) => self.names.of(Kind::Pod, &tracked.subject.namespace, name).next().is_some(),
        }
    }

    pub(super) fn schedule(&mut self, uid: Uid) {
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let due = [tracked.dedup.due(), tracked.pulls.due(), tracked.trouble.due()].into_iter().flatten().min();
        let before = std::mem::replace(&mut tracked.due, due);
        if before != due {
            if let Some(before) = before {
                self.due.remove(&(before, uid));
            }
            self.due.extend(due.map(|due| (due, uid)));
        }
    }

    /// Removes the due time of an object that is no longer tracked.
    pub(super) fn unschedule(&mut self, uid: Uid, tracked: &Tracked) {
        if let Some(due) = tracked.due {
            self.due.remove(&(due, uid));
        }
    }

    /// Acknowledges held facts that were replaced or reported.
    pub(super) fn ack_released(&mut self, uid: Uid, effects: &mut Vec<Effect>) {
        if let Some(tracked) = self.tracked.get_mut(&uid) {
            effects.extend(tracked.dedup.released().map(Effect::Ack));
        }
    }

    fn report_fact(&mut self, uid: Uid, report: Report, repeat: Option<Repeat>, effects: &mut Vec<Effect>) {
        effects.push(Effect::Count(Counted::Reported));
        self.report(uid, report, repeat, effects);
    }

    /// Creates a finding for the agents of the object, and holds it for those that are not resolved yet.
    pub(super) fn report(&mut self, uid: Uid, report: Report, repeat: Option<Repeat>, effects: &mut Vec<Effect>) {
        let Report { kind, at, fact_id, about } = report;
        let owner = self.owner_of(uid);
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let subject = about.unwrap_or_else(|| tracked.subject.clone());
        let fact_id = fact_id.map(|fact_id| match kind {
            FindingKind::Created => fact_id.of_fact(FactKey::CREATED),
            FindingKind::Deleted => fact_id.of_fact(FactKey::DELETED),
            _ => fact_id,
        });
        let finding = Finding { agents: tracked.agents.clone(), subject, at, kind, repeat, fact_id };
        tracked.taken_away |= matches!(
            finding.kind,
            FindingKind::Evicted { .. } | FindingKind::Disrupted { .. } | FindingKind::Failed { .. }
        );
        let explanation = explain(&finding.kind);
        let level = level_of(&finding.kind, &explanation);
        tracked.trouble.note(&finding, level);
        tracked.fail(at, level, &explanation, &owner, effects);
        if !tracked.unresolved.is_empty() {
            if tracked.held.len() >= HELD {
                effects.push(Effect::Count(Counted::Unasked));
            } else {
                effects.extend(fact_id.map(Effect::Hold));
                tracked.held.push(finding.clone());
            }
        }
        if !finding.agents.is_empty() {
            effects.push(Effect::Finding(finding));
        }
    }
}
