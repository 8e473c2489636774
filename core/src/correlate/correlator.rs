//! The state machine from observations to effects.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::{
    Counted, Directory, Effect, LookupFailed, Object, Observation, Sighting,
    fact::{self, StatusFact},
    past::Past,
    strangers::Strangers,
    told::Verdict,
    tracked::{HELD, Tracked},
    waiting::{Waiter, Waiting},
};
use crate::{
    checkpoint::FactKey,
    extract::{self, TokenSource},
    identity::{Kind, Subject, Uid},
    line::{Mark, ScopeId, WorkspaceKey},
    notice::{Happening, Notice, Repeat},
    object::{Event, Meta, Pod},
    token::AgentToken,
};

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Objects followed at a time.
    pub tracked: usize,
    /// UIDs of objects known to be no workspaces: 16 bytes, held twice.
    pub strangers: usize,
    /// Events that wait for their subject.
    pub waiting: usize,
    /// An unclaimed subject is looked up when an Event has waited this long: the watch is nearly always faster.
    pub look_up_after: SignedDuration,
    /// An Event whose subject is not found by then is given up.
    pub give_up_after: SignedDuration,
    /// An object's last Events come after its deletion; it is remembered this long.
    pub remember_gone: SignedDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tracked: 200_000,
            strangers: 200_000,
            waiting: 10_000,
            look_up_after: SignedDuration::from_secs(2),
            give_up_after: SignedDuration::from_mins(2),
            remember_gone: SignedDuration::from_mins(2),
        }
    }
}

/// Knows which facts are news, and to whom.
#[derive(Debug)]
pub struct Correlator<D> {
    directory: D,
    past: Past,
    limits: Limits,
    /// Whether pods that admission did not claim count as repaired.
    expects_claims: bool,
    tracked: HashMap<Uid, Tracked>,
    strangers: Strangers,
    waiting: Waiting,
    /// How often each scope was listed.
    listings: HashMap<ScopeId, u32>,
}

impl<D: Directory> Correlator<D> {
    /// A correlator that knows nothing yet. `expects_claims` is whether a webhook runs beside it.
    pub fn new(directory: D, limits: Limits, expects_claims: bool) -> Self {
        Self {
            directory,
            past: Past::default(),
            limits,
            expects_claims,
            tracked: HashMap::new(),
            strangers: Strangers::new(limits.strangers),
            waiting: Waiting::new(limits.waiting),
            listings: HashMap::new(),
        }
    }

    /// How many objects are followed.
    pub fn tracked(&self) -> usize {
        self.tracked.len()
    }

    /// How many Events wait for their subject.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a fact in, and says what is to be done, in order.
    pub fn observe(&mut self, now: Timestamp, observation: Observation) -> Vec<Effect> {
        let mut effects = Vec::new();
        match observation {
            Observation::Started { scope, from } => self.past.start(scope, *from),
            Observation::Seen { scope, object, how } => self.seen(now, Some(scope), object, how, &mut effects),
            Observation::Gone { scope, object } => self.gone(now, scope, &object, &mut effects),
            Observation::Event { scope, event } => self.event(now, scope, *event, &mut effects),
            Observation::Relisting(scope) => *self.listings.entry(scope).or_default() += 1,
            Observation::Synced(scope) => self.synced(now, scope, &mut effects),
            Observation::LookedUp { subject, found } => self.looked_up(now, &subject, found, &mut effects),
            Observation::Resolved { subject, source, token } => self.resolved(&subject, &source, token, &mut effects),
        }
        effects
    }

    /// Lets time pass: looks up what has waited, gives up what waited too long, forgets what is long gone. To be
    /// called about once a second; no line waits for it but those whose subject the watch did not show.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects: Vec<Effect> =
            self.waiting.due_for_lookup(self.limits.look_up_after, now).into_iter().map(Effect::LookUp).collect();
        let aged = self.waiting.take_older(self.limits.give_up_after, now);
        give_up(aged, Counted::Aged, &mut effects);
        let remember = self.limits.remember_gone;
        self.tracked.retain(|uid, tracked| {
            let forget = tracked.gone_at.is_some_and(|at| now.duration_since(at) > remember);
            if forget {
                release(tracked, &mut effects);
                effects.push(Effect::Forget(*uid));
            }
            !forget
        });
        effects
    }

    fn seen(
        &mut self,
        now: Timestamp,
        scope: Option<ScopeId>,
        object: Object,
        how: Sighting,
        effects: &mut Vec<Effect>,
    ) {
        let (kind, meta) = parts(&object);
        let Some(subject) = meta.subject(kind) else {
            return effects.push(Effect::Count(Counted::Malformed));
        };
        let uid = subject.uid;
        if self.past.is_pending(scope, uid) && how == Sighting::ListedKnown {
            return self.seen(now, scope, object, Sighting::ListedChanged, effects);
        }
        // A pod's environment does not change; a template's may.
        if kind == Kind::Pod && self.strangers.contains(uid) {
            return;
        }
        let known = self.tracked.contains_key(&uid);
        if (!known || kind != Kind::Pod) && !self.carried(scope, &subject, &object, effects) {
            return;
        }
        let listing = scope.and_then(|scope| self.listings.get(&scope).copied()).unwrap_or_default();
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        if scope.is_some() {
            tracked.scope = scope;
            tracked.listing = listing;
        }
        if tracked.gone_at.take().is_some() {
            bind(&self.directory, tracked, effects);
        }
        let mark = mark_of(scope, meta, uid);
        if !known && self.is_new(scope, meta, uid, how) {
            self.say(uid, Happening::Created, meta.creation_timestamp.unwrap_or(now), None, mark, effects);
        }
        if let Object::Pod(pod) = &object {
            self.status(now, uid, pod, how, mark, effects);
        }
        if !known {
            for Waiter { event, mark } in self.waiting.take(uid) {
                self.tell_event(now, &subject, &event, mark, effects);
                effects.push(Effect::Settle(mark));
            }
        }
    }

    /// Takes over what the object's spec carries; false if it is no workspace.
    fn carried(
        &mut self,
        scope: Option<ScopeId>,
        subject: &Subject,
        object: &Object,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let (spec, meta, template) = match object {
            Object::Pod(pod) => (&pod.spec, &pod.metadata, None),
            Object::Workload(_, workload) => {
                let template = &workload.spec.template;
                (&template.spec, &workload.metadata, Some(&template.metadata))
            }
        };
        let uid = subject.uid;
        let found = extract::agents(spec);
        if found.not_tokens > 0 && !self.tracked.contains_key(&uid) && !self.strangers.contains(uid) {
            effects.push(Effect::Count(Counted::NotAToken));
        }
        if found.agents.is_empty() && !self.tracked.contains_key(&uid) {
            self.estrange(uid, effects);
            return false;
        }
        if self.tracked.len() >= self.limits.tracked && !self.tracked.contains_key(&uid) {
            effects.push(Effect::Count(Counted::TooMany));
            give_up(self.waiting.take(uid), Counted::Overflow, effects);
            return false;
        }
        self.strangers.remove(uid);
        let new = !self.tracked.contains_key(&uid);
        let controller = meta.controller().map(|owner| owner.uid);
        let tracked = self.tracked.entry(uid).or_insert_with(|| {
            let workspace = template
                .and_then(|template| WorkspaceKey::of(&subject.namespace, template))
                .or_else(|| WorkspaceKey::of(&subject.namespace, meta));
            Tracked::new(subject.clone(), workspace, controller)
        });
        let before = tracked.agents.len();
        let to_resolve = tracked.carry(found.agents);
        if new || tracked.agents.len() > before {
            let claimed = bind(&self.directory, tracked, effects);
            if new
                && subject.kind == Kind::Pod
                && self.expects_claims
                && !claimed
                && !self.past.was_announced(scope, uid, meta)
            {
                effects.push(Effect::Count(Counted::Repaired));
            }
        }
        effects.extend(to_resolve.into_iter().map(|source| Effect::Resolve { subject: subject.clone(), source }));
        true
    }

    /// Whether an object not followed before is to be announced.
    fn is_new(&self, scope: Option<ScopeId>, meta: &Meta, uid: Uid, how: Sighting) -> bool {
        match how {
            Sighting::ListedKnown => false,
            Sighting::Watched => true,
            Sighting::ListedChanged => !self.past.was_announced(scope, uid, meta),
        }
    }

    fn status(
        &mut self,
        now: Timestamp,
        uid: Uid,
        pod: &Pod,
        how: Sighting,
        mark: Option<Mark>,
        effects: &mut Vec<Effect>,
    ) {
        let scope = mark.map(|mark| mark.scope);
        let mut known = BTreeSet::new();
        for StatusFact { identity, repeats, at, what } in fact::of_status(pod) {
            let key = FactKey::of_status(identity, at.is_some());
            let mark = mark.map(|mark| mark.of_fact(key));
            known.insert(key);
            let Some(tracked) = self.tracked.get_mut(&uid) else { return };
            if !tracked.notes(identity) {
                continue;
            }
            let old = self.past.was_reported(scope, uid, key, at);
            let verdict = match repeats {
                Some(key) => tracked.told.incident(key, at.unwrap_or(now)),
                None => tracked.told.status(identity),
            };
            match verdict {
                // It stays remembered as told, so that what follows is a repeat.
                _ if how == Sighting::ListedKnown || (how == Sighting::ListedChanged && old) => {}
                Verdict::Say(repeat) => self.say(uid, what, at.unwrap_or(now), repeat, mark, effects),
                Verdict::Known => {}
                Verdict::Collapsed => effects.push(Effect::Count(Counted::Collapsed)),
            }
        }
        self.note_known(scope, uid, known, effects);
    }

    /// Facts with a time never come back once they have left the status; the others may, and stay known.
    fn note_known(
        &mut self,
        scope: Option<ScopeId>,
        uid: Uid,
        mut known: BTreeSet<FactKey>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let Some(scope) = scope else { return };
        if tracked.known.is_empty() {
            known.extend(self.past.known(scope, uid).into_iter().filter(|fact| !fact.has_time()));
        }
        known.extend(tracked.known.iter().copied().filter(|fact| !fact.has_time()));
        if tracked.known != known {
            tracked.known.clone_from(&known);
            effects.push(Effect::Known { scope, subject: uid, facts: known });
        }
    }

    fn gone(&mut self, now: Timestamp, scope: ScopeId, object: &Object, effects: &mut Vec<Effect>) {
        let Some(uid) = parts(object).1.uid else {
            return effects.push(Effect::Count(Counted::Malformed));
        };
        let meta = parts(object).1;
        // The last state of a pod may tell what no Event told.
        if let Object::Pod(pod) = object
            && self.tracked.contains_key(&uid)
        {
            self.status(now, uid, pod, Sighting::Watched, mark_of(Some(scope), meta, uid), effects);
        }
        self.strangers.remove(uid);
        give_up(self.waiting.take(uid), Counted::Stranger, effects);
        self.end(now, uid, meta.deletion_timestamp, mark_of(Some(scope), meta, uid), effects);
    }

    fn end(&mut self, now: Timestamp, uid: Uid, at: Option<Timestamp>, mark: Option<Mark>, effects: &mut Vec<Effect>) {
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        if tracked.gone_at.is_some() {
            return;
        }
        tracked.gone_at = Some(now);
        if let Some(scope) = tracked.scope.filter(|_| !std::mem::take(&mut tracked.known).is_empty()) {
            effects.push(Effect::Known { scope, subject: uid, facts: BTreeSet::new() });
        }
        self.say(uid, Happening::Deleted, at.unwrap_or(now).min(now), None, mark, effects);
        effects.extend(self.directory.end(uid).into_iter().map(Effect::Ended));
    }

    fn synced(&mut self, now: Timestamp, scope: ScopeId, effects: &mut Vec<Effect>) {
        let listing = self.listings.get(&scope).copied().unwrap_or_default();
        let mut missing: Vec<Uid> = self
            .tracked
            .iter()
            .filter(|(_, tracked)| tracked.scope == Some(scope) && tracked.listing != listing)
            .map(|(uid, _)| *uid)
            .collect();
        missing.sort_unstable();
        for uid in missing {
            self.end(now, uid, None, None, effects);
        }
        self.past.listed(scope);
    }

    fn event(&mut self, now: Timestamp, scope: ScopeId, event: Event, effects: &mut Vec<Effect>) {
        let Some(subject) = event.subject() else {
            return effects.push(Effect::Count(Counted::OtherKind));
        };
        let mark = Mark {
            scope,
            revision: event.metadata.revision().unwrap_or_default(),
            subject: subject.uid,
            fact: FactKey::EVENT,
        };
        if self.tracked.contains_key(&subject.uid) {
            self.tell_event(now, &subject, &event, mark, effects);
        } else if self.strangers.contains(subject.uid) {
            effects.push(Effect::Count(Counted::Stranger));
        } else {
            effects.push(Effect::Hold(mark));
            let overflow = self.waiting.push(&subject, event, mark, now);
            give_up(overflow, Counted::Overflow, effects);
            if self.directory.claimed(&subject) && self.waiting.look_up(subject.uid) {
                effects.push(Effect::LookUp(subject));
            }
        }
    }

    fn tell_event(&mut self, now: Timestamp, subject: &Subject, event: &Event, mark: Mark, effects: &mut Vec<Effect>) {
        let what = fact::of_event(subject, event);
        let at = event.time().unwrap_or(now);
        let since = event.since().unwrap_or(at);
        let Some(tracked) = self.tracked.get_mut(&subject.uid) else { return };
        let event_uid = event.metadata.uid.unwrap_or(subject.uid);
        match tracked.told.event(fact::key_of_event(&what, event), event_uid, event.times(), since, at) {
            Verdict::Say(repeat) => self.say(subject.uid, what, at, repeat, Some(mark), effects),
            Verdict::Known => {}
            Verdict::Collapsed => effects.push(Effect::Count(Counted::Collapsed)),
        }
    }

    fn looked_up(
        &mut self,
        now: Timestamp,
        subject: &Subject,
        found: Result<Option<Object>, LookupFailed>,
        effects: &mut Vec<Effect>,
    ) {
        match found {
            Ok(Some(object)) if parts(&object).1.uid == Some(subject.uid) => {
                if !self.tracked.contains_key(&subject.uid) {
                    self.seen(now, None, object, Sighting::ListedChanged, effects);
                }
            }
            Ok(_) => {
                if !self.tracked.contains_key(&subject.uid) {
                    self.estrange(subject.uid, effects);
                }
            }
            // It goes on waiting: the watch may show it yet.
            Err(LookupFailed) => {}
        }
    }

    fn resolved(
        &mut self,
        subject: &Subject,
        source: &TokenSource,
        token: Option<AgentToken>,
        effects: &mut Vec<Effect>,
    ) {
        let uid = subject.uid;
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let before = tracked.unresolved.len();
        tracked.unresolved.retain(|other| other != source);
        if tracked.unresolved.len() == before {
            return;
        }
        match token {
            None => effects.push(Effect::Count(Counted::NotAToken)),
            Some(token) if tracked.agents.contains(&token) => {}
            Some(token) => {
                tracked.add(token);
                let gone = tracked.gone_at.is_some();
                bind(&self.directory, tracked, effects);
                for notice in &tracked.held {
                    effects.push(Effect::Notice(Notice { agents: [token].into(), ..notice.clone() }));
                }
                if gone {
                    effects.extend(self.directory.end(uid).into_iter().map(Effect::Ended));
                }
            }
        }
        if tracked.unresolved.is_empty() {
            release(tracked, effects);
            if tracked.agents.is_empty() {
                self.tracked.remove(&uid);
                self.strangers.insert(uid);
            }
        }
    }

    fn estrange(&mut self, uid: Uid, effects: &mut Vec<Effect>) {
        self.strangers.insert(uid);
        give_up(self.waiting.take(uid), Counted::Stranger, effects);
    }

    fn say(
        &mut self,
        uid: Uid,
        what: Happening,
        at: Timestamp,
        repeat: Option<Repeat>,
        mark: Option<Mark>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let mark = mark.map(|mark| match what {
            Happening::Created => mark.of_fact(FactKey::CREATED),
            Happening::Deleted => mark.of_fact(FactKey::DELETED),
            _ => mark,
        });
        let notice =
            Notice { agents: tracked.agents.clone(), subject: tracked.subject.clone(), at, what, repeat, mark };
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

fn parts(object: &Object) -> (Kind, &Meta) {
    match object {
        Object::Pod(pod) => (Kind::Pod, &pod.metadata),
        Object::Workload(kind, workload) => (*kind, &workload.metadata),
    }
}

fn mark_of(scope: Option<ScopeId>, meta: &Meta, subject: Uid) -> Option<Mark> {
    Some(Mark { scope: scope?, revision: meta.revision()?, subject, fact: FactKey::EVENT })
}

/// Tells the directory; returns whether admission had claimed the object.
fn bind(directory: &impl Directory, tracked: &Tracked, effects: &mut Vec<Effect>) -> bool {
    let bound = directory.bind(&tracked.subject, tracked.controller, tracked.agents.clone());
    for agent in bound.opened {
        effects.push(Effect::Open { agent, workspace: tracked.workspace.clone() });
    }
    bound.claimed
}

fn give_up(waiters: Vec<Waiter>, why: Counted, effects: &mut Vec<Effect>) {
    for Waiter { mark, .. } in waiters {
        effects.push(Effect::Count(why));
        effects.push(Effect::Settle(mark));
    }
}

/// Lets go of what was held for agents that are not to come.
fn release(tracked: &mut Tracked, effects: &mut Vec<Effect>) {
    effects.extend(tracked.held.drain(..).filter_map(|notice| notice.mark).map(Effect::Settle));
}
