//! Decides for each fact: report it, count it, or hold it until its pause ends.

use jiff::Timestamp;

use super::{
    Correlator, Counted, Directory, Effect,
    cause::without_numbers,
    event_fact::of_event,
    fact::hash,
    told::{Count, Explained, Held, Key, Verdict},
    tracked::{HELD, Tracked},
};
use crate::{
    checkpoint::FactKey,
    identity::{Kind, Subject, Uid},
    line::Mark,
    notice::{Happening, Notice, Repeat},
    object::Event,
};

/// A fact to be told.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) what: Happening,
    pub(super) at: Timestamp,
    pub(super) mark: Option<Mark>,
    /// The object it is about, if that is another than the one that tells it.
    pub(super) about: Option<Subject>,
}

impl Telling {
    pub(super) fn new(what: Happening, at: Timestamp, mark: Option<Mark>) -> Self {
        Self { what, at, mark, about: None }
    }
}

/// Pods of one workload that are each announced, before a new one is only counted.
const ANNOUNCED: u32 = 3;

/// Of an Event: its mark is kept while it is held, so that it is told after a restart; and what makes it superfluous.
pub(super) struct ByEvent {
    explained_by: Option<Explained>,
}

impl<D: Directory> Correlator<D> {
    /// Tells an Event about an object that is followed.
    pub(super) fn tell_event(
        &mut self,
        now: Timestamp,
        uid: Uid,
        event: &Event,
        mark: Mark,
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
        let key = fact.cause.key;
        if tracked.only_counted && (fact.once || event.reason == "Scheduled") {
            return effects.push(Effect::Count(Counted::Collapsed));
        }
        let verdict = if fact.once {
            match tracked.told.status(fact.cause) {
                Verdict::Known => return effects.push(Effect::Count(Counted::Collapsed)),
                verdict => verdict,
            }
        } else {
            tracked.told.event(fact.cause, count, fact.explained_by.is_some(), status_until)
        };
        let telling = Telling::new(fact.what, at, Some(mark));
        let by = ByEvent { explained_by: fact.explained_by };
        self.tell(now, uid, (key, verdict), telling, Some(by), effects);
    }

    /// Carries out a verdict on a fact.
    pub(super) fn tell(
        &mut self,
        now: Timestamp,
        uid: Uid,
        (key, verdict): (Key, Verdict),
        telling: Telling,
        by: Option<ByEvent>,
        effects: &mut Vec<Effect>,
    ) {
        match verdict {
            Verdict::Known => {}
            Verdict::Say(None) if matches!(telling.what, Happening::Evicted { .. } | Happening::Failed { .. }) => {
                self.tell_of_workload(now, uid, telling, by.is_some(), effects);
            }
            Verdict::Say(repeat) => self.say(uid, telling, repeat, effects),
            Verdict::Collapsed => {
                effects.push(Effect::Count(Counted::Collapsed));
                self.hold(now, uid, key, telling, by, effects);
            }
        }
        self.settle_released(uid, effects);
    }

    /// Announces an object. Of a workload whose pods fail one after the other the first few are announced.
    pub(super) fn announce(&mut self, now: Timestamp, uid: Uid, telling: Telling, effects: &mut Vec<Effect>) {
        self.tell_of_workload(now, uid, telling, false, effects);
    }

    /// A workload makes a new pod for each that is evicted or refused, which fares no better: to the reader that is a
    /// repeat.
    fn tell_of_workload(
        &mut self,
        now: Timestamp,
        uid: Uid,
        mut telling: Telling,
        by_event: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(tracked) = self.tracked.get(&uid) else { return };
        let subject = tracked.subject.clone();
        let Some((workload, told)) =
            tracked.controller.and_then(|uid| Some((uid, &mut self.tracked.get_mut(&uid)?.told)))
        else {
            return self.say(uid, telling, None, effects);
        };
        let (key, verdict) = match &telling.what {
            Happening::Evicted { message } | Happening::Failed { message, .. } => {
                let key = hash(&("pods end", without_numbers(message)));
                (key, told.incident(key, telling.at))
            }
            _ => {
                let key = hash(&"pods created");
                (key, told.incident_after(ANNOUNCED, key, telling.at))
            }
        };
        match verdict {
            Verdict::Say(repeat) => self.say(uid, telling, repeat, effects),
            Verdict::Known => {}
            Verdict::Collapsed => {
                effects.push(Effect::Count(Counted::Collapsed));
                let by = by_event.then_some(ByEvent { explained_by: None });
                if telling.what == Happening::Created
                    && let Some(tracked) = self.tracked.get_mut(&uid)
                {
                    tracked.only_counted = true;
                }
                telling.about = Some(subject);
                self.hold(now, workload, key, telling, by, effects);
            }
        }
        self.settle_released(workload, effects);
    }

    fn hold(
        &mut self,
        now: Timestamp,
        uid: Uid,
        key: Key,
        telling: Telling,
        by: Option<ByEvent>,
        effects: &mut Vec<Effect>,
    ) {
        let Telling { what, at, mark, about } = telling;
        // What a status says has no Event to be told from again: its object would be announced a second time.
        let keeps_mark = by.is_some();
        let held = Held { what, at, mark, about, keeps_mark, explained_by: by.and_then(|by| by.explained_by) };
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        if tracked.told.hold(key, now, held) {
            effects.extend(mark.map(Effect::Hold));
        }
        self.schedule(uid);
    }

    /// Says what was held back and whose time has come.
    pub(super) fn say_due(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some(&(due, uid)) = self.due.first().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, uid));
            if let Some(tracked) = self.tracked.get_mut(&uid) {
                tracked.due = None;
            }
            self.say_held_until(now, uid, effects);
            self.schedule(uid);
        }
    }

    /// Says all that is held of an object, before what would make it old news.
    pub(super) fn say_all_held(&mut self, uid: Uid, effects: &mut Vec<Effect>) {
        self.say_held_until(Timestamp::MAX, uid, effects);
        self.schedule(uid);
    }

    fn say_held_until(&mut self, until: Timestamp, uid: Uid, effects: &mut Vec<Effect>) {
        while let Some((key, held)) = self.tracked.get_mut(&uid).and_then(|tracked| tracked.told.take_due(until)) {
            let Held { what, at, mark, about, keeps_mark, explained_by } = held;
            let Some(tracked) = self.tracked.get(&uid) else { return };
            let explained = explained_by.is_some_and(|by| self.is_explained(tracked, &by));
            if !explained && let Some(tracked) = self.tracked.get_mut(&uid) {
                let repeat = tracked.told.say_held(key, at);
                self.say(uid, Telling { what, at, mark, about }, repeat, effects);
            }
            effects.extend(mark.filter(|_| keeps_mark).map(Effect::Settle));
        }
        self.settle_released(uid, effects);
    }

    fn is_explained(&self, tracked: &Tracked, by: &Explained) -> bool {
        match by {
            Explained::Told(keys) | Explained::ToldLater(keys) => tracked.told.has_said(keys),
            Explained::Pod(name) => self.names.of(Kind::Pod, &tracked.subject.namespace, name).next().is_some(),
        }
    }

    fn schedule(&mut self, uid: Uid) {
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let due = tracked.told.due();
        let before = std::mem::replace(&mut tracked.due, due);
        if before != due {
            if let Some(before) = before {
                self.due.remove(&(before, uid));
            }
            self.due.extend(due.map(|due| (due, uid)));
        }
    }

    /// An object that is not followed any more has nothing to say later.
    pub(super) fn unschedule(&mut self, uid: Uid, tracked: &Tracked) {
        if let Some(due) = tracked.due {
            self.due.remove(&(due, uid));
        }
    }

    /// Lets go of the marks of held facts that were replaced or said.
    pub(super) fn settle_released(&mut self, uid: Uid, effects: &mut Vec<Effect>) {
        if let Some(tracked) = self.tracked.get_mut(&uid) {
            effects.extend(tracked.told.released().map(Effect::Settle));
        }
    }

    /// Makes a notice for each agent of the object, and keeps it for those that are not known yet.
    pub(super) fn say(&mut self, uid: Uid, telling: Telling, repeat: Option<Repeat>, effects: &mut Vec<Effect>) {
        let Telling { what, at, mark, about } = telling;
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let subject = about.unwrap_or_else(|| tracked.subject.clone());
        let mark = mark.map(|mark| match what {
            Happening::Created => mark.of_fact(FactKey::CREATED),
            Happening::Deleted => mark.of_fact(FactKey::DELETED),
            _ => mark,
        });
        let notice = Notice { agents: tracked.agents.clone(), subject, at, what, repeat, mark };
        if !tracked.unresolved.is_empty() {
            if tracked.held.len() >= HELD {
                effects.push(Effect::Count(Counted::Overflow));
            } else {
                effects.extend(mark.map(Effect::Hold));
                tracked.held.push(notice.clone());
            }
        }
        if !notice.agents.is_empty() {
            effects.push(Effect::Notice(notice));
        }
    }
}
