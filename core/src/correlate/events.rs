//! Events: those of tracked objects are reported, others wait until their object is known.

use jiff::Timestamp;

use super::{
    Arrival, Correlator, Counted, Effect, LookupFailed, Object,
    correlator::{Origin, parts},
    tracked::Tracked,
    waiting::Waiter,
};
use crate::{
    checkpoint::FactKey,
    dependency::Dependency,
    fact_id::{FactId, ScopeId},
    identity::{Subject, Uid},
    object::Event,
};

impl Correlator {
    pub(super) fn event(&mut self, now: Timestamp, scope: ScopeId, event: Event, effects: &mut Vec<Effect>) {
        if let Some(dependency) = Dependency::of_event(&event) {
            return self.event_of_dependency(now, scope, &dependency, &event, effects);
        }
        effects.push(Effect::Count(Counted::Observed));
        let Some(mut subject) = event.subject() else {
            return effects.push(Effect::Count(Counted::OtherKind));
        };
        if !event.stays_in_its_namespace() {
            return effects.push(Effect::Count(Counted::ForeignNamespace));
        }
        if subject.uid == Uid::UNKNOWN {
            let mut named = self.names.of(subject.kind, &subject.namespace, &subject.name);
            let lived = |uid: &Uid| {
                self.tracked.get(uid).is_some_and(|object| event.time().is_none_or(|at| object.lived_at(at)))
            };
            subject.uid = named.find(lived).unwrap_or(Uid::UNKNOWN);
        }
        let fact_id = FactId {
            scope,
            revision: event.metadata.revision().unwrap_or_default(),
            subject: subject.uid,
            fact: FactKey::EVENT,
        };
        match self.tracked.get(&subject.uid) {
            Some(tracked) if tracked.subject.namespace != subject.namespace => {
                effects.push(Effect::Count(Counted::ForeignNamespace));
            }
            Some(tracked) if tracked.left || tracked.subject != subject => {
                effects.push(Effect::Count(Counted::NonWorkspace));
            }
            Some(tracked) if tracked.missing.is_none() => self.handle_event(now, subject.uid, &event, fact_id, effects),
            missing => {
                let missing = missing.is_some();
                if self.non_workspaces.contains(&subject) {
                    return effects.push(Effect::Count(Counted::NonWorkspace));
                }
                effects.push(Effect::Hold(fact_id));
                let overflow = self.waiting.push(&subject, event, fact_id, now);
                give_up(overflow, Counted::Overflow, effects);
                // A missing object is being looked up already.
                let look_up = missing || (subject.uid != Uid::UNKNOWN && self.registrations.is_registered(&subject));
                if look_up && self.waiting.look_up(&subject) && !missing {
                    effects.push(Effect::LookUp(subject));
                }
            }
        }
    }

    pub(super) fn looked_up(
        &mut self,
        now: Timestamp,
        scope: Option<ScopeId>,
        subject: &Subject,
        found: Result<Option<Object>, LookupFailed>,
        effects: &mut Vec<Effect>,
    ) {
        if self.tracked.contains_key(&subject.uid) {
            return;
        }
        match found {
            Ok(Some(object)) if parts(&object).1.subject(subject.kind).as_ref() == Some(subject) => {
                let origin = Origin { scope: None, fact_scope: scope, how: Arrival::ListedChanged };
                self.seen(now, origin, &object, effects);
            }
            Ok(_) => self.mark_as_non_workspace(subject, effects),
            // It keeps waiting: the watch may still show it.
            Err(LookupFailed) => {}
        }
    }

    pub(super) fn mark_as_non_workspace(&mut self, subject: &Subject, effects: &mut Vec<Effect>) {
        self.non_workspaces.insert(subject);
        give_up(self.waiting.take(subject), Counted::NonWorkspace, effects);
    }

    /// Handles the Events that waited for an object.
    pub(super) fn replay_waiting(&mut self, now: Timestamp, subject: &Subject, effects: &mut Vec<Effect>) {
        let mut waiters = self.waiting.take(subject);
        let nameless = Subject { uid: Uid::UNKNOWN, ..subject.clone() };
        for waiter in self.waiting.take(&nameless) {
            let lived = |tracked: &Tracked| waiter.event.time().is_none_or(|at| tracked.lived_at(at));
            if self.tracked.get(&subject.uid).map(Box::as_ref).is_some_and(lived) {
                waiters.push(waiter);
            } else {
                give_up(vec![waiter], Counted::NonWorkspace, effects);
            }
        }
        for Waiter { event, fact_id } in waiters {
            self.handle_event(now, subject.uid, &event, fact_id, effects);
            effects.push(Effect::Ack(fact_id));
        }
    }
}

/// Drops Events that waited for their object, for this reason.
pub(super) fn give_up(waiters: Vec<Waiter>, why: Counted, effects: &mut Vec<Effect>) {
    for Waiter { fact_id, .. } in waiters {
        effects.push(Effect::Count(why));
        effects.push(Effect::Ack(fact_id));
    }
}
