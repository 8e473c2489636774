//! State machine from observations to effects.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    Arrival, Counted, Effect, Object, Observation, Registrations,
    agents::{confirm_agents, release},
    carriers::Carriers,
    conditions::of_workload,
    dependencies::Dependencies,
    events::give_up,
    fact,
    names::Names,
    non_workspaces::NonWorkspaces,
    past::Past,
    report::Report,
    tracked::Tracked,
    unconfirmed::Unconfirmed,
    waiting::Waiting,
};
use crate::{
    checkpoint::FactKey,
    extract,
    fact_id::{FactId, ScopeId},
    finding::FindingKind,
    identity::Uid,
    object::Meta,
    resource::Kind,
};

/// Limits of the correlator.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum number of tracked objects.
    pub tracked: usize,
    /// Maximum number of objects remembered as non-workspaces, 16 bytes each.
    pub non_workspaces: usize,
    /// Maximum number of Events waiting for their object.
    pub waiting: usize,
    /// Maximum number of workloads held until one of their pods is tracked.
    pub unconfirmed: usize,
    /// Time an Event waits before its object is looked up, unless admission registered it: the watch is nearly always
    /// faster.
    pub look_up_after: SignedDuration,
    /// Time after which an Event is dropped if its object was not found.
    pub give_up_after: SignedDuration,
    /// Time for which a deleted object is tracked, for Events that arrive after its deletion.
    pub remember_gone: SignedDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tracked: 200_000,
            non_workspaces: 200_000,
            waiting: 10_000,
            unconfirmed: 10_000,
            look_up_after: SignedDuration::from_secs(2),
            give_up_after: SignedDuration::from_mins(2),
            remember_gone: SignedDuration::from_mins(2),
        }
    }
}

/// Decides which facts are new, and for which agents.
pub struct Correlator {
    pub(super) registrations: Arc<dyn Registrations>,
    pub(super) carriers: Carriers,
    pub(super) past: Past,
    pub(super) limits: Limits,
    /// True if pods that admission did not register are counted as missed by the webhook.
    pub(super) has_webhook: bool,
    /// Boxed, because a table has up to twice as many slots as entries.
    pub(super) tracked: HashMap<Uid, Box<Tracked>>,
    pub(super) names: Names,
    pub(super) non_workspaces: NonWorkspaces,
    /// Pods that left the selection and are no longer tracked: one that comes back is not new.
    pub(super) left: NonWorkspaces,
    pub(super) waiting: Waiting,
    /// Dependencies of tracked pods.
    pub(super) dependencies: Dependencies,
    /// The latest list of each scope.
    pub(super) listings: HashMap<ScopeId, Listing>,
    /// Missing objects whose presence is being checked, with the time of the last request.
    pub(super) checking_presence: BTreeMap<Uid, Timestamp>,
    /// Due times of held facts, at most one for each object.
    pub(super) due: BTreeSet<(Timestamp, Uid)>,
    /// Workloads without a tracked pod, if such workloads are held.
    pub(super) unconfirmed: Option<Unconfirmed>,
}

/// A list of a scope.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Listing {
    /// Sequence number.
    pub(super) number: u32,
    /// Highest resourceVersion in it: the list is at least as new.
    pub(super) highest: u64,
}

/// The origin of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// Scope that shows it; `None` for a lookup.
    pub(super) scope: Option<ScopeId>,
    /// Scope of the facts reported about it.
    pub(super) fact_scope: Option<ScopeId>,
    pub(super) how: Arrival,
}

impl Correlator {
    /// Creates an empty correlator. `has_webhook` is true if this process also serves the webhook.
    pub fn new(registrations: Arc<dyn Registrations>, limits: Limits, has_webhook: bool) -> Self {
        Self {
            registrations,
            carriers: Carriers::default(),
            past: Past::default(),
            limits,
            has_webhook,
            tracked: HashMap::new(),
            names: Names::default(),
            non_workspaces: NonWorkspaces::new(limits.non_workspaces),
            left: NonWorkspaces::new(limits.non_workspaces),
            waiting: Waiting::new(limits.waiting),
            dependencies: Dependencies::default(),
            listings: HashMap::new(),
            checking_presence: BTreeMap::new(),
            due: BTreeSet::new(),
            unconfirmed: None,
        }
    }

    /// Tracks a workload only once one of its pods is tracked. Events about the workload wait until then, within the
    /// limits.
    #[must_use]
    pub fn confirming_workloads(self) -> Self {
        Self { unconfirmed: Some(Unconfirmed::default()), ..self }
    }

    /// Returns the number of objects that carry an agent.
    pub fn carriers(&self) -> usize {
        self.carriers.len()
    }

    /// Returns the number of tracked objects.
    pub fn tracked(&self) -> usize {
        self.tracked.len()
    }

    /// Returns the number of Events waiting for their object.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Handles an observation. Returns the effects to carry out, in order.
    pub fn observe(&mut self, now: Timestamp, observation: Observation) -> Vec<Effect> {
        let mut effects = Vec::new();
        match observation {
            Observation::Started { scope, from } => self.past.start(scope, *from),
            Observation::Seen { scope, object, how } => {
                self.seen(now, Origin { scope: Some(scope), fact_scope: Some(scope), how }, &object, &mut effects);
            }
            Observation::Gone { scope, object } => self.gone(now, scope, &object, &mut effects),
            Observation::Event { scope, event } => self.event(now, scope, *event, &mut effects),
            Observation::Relisting(scope) => {
                let listing = self.listings.entry(scope).or_default();
                *listing = Listing { number: listing.number.wrapping_add(1), highest: 0 };
            }
            Observation::Synced(scope) => self.synced(now, scope, &mut effects),
            Observation::LookedUp { scope, subject, found } => {
                self.looked_up(now, scope, &subject, found, &mut effects);
            }
            Observation::PresenceChecked { subject, presence } => {
                self.presence_checked(now, &subject, presence, &mut effects);
            }
            Observation::Resolved { subject, source, token } => self.resolved(&subject, &source, token, &mut effects),
        }
        effects
    }

    /// Handles the passing of time: looks up the objects of waiting Events, gives up Events that waited too long,
    /// reports repeats at the end of their pause, and forgets objects that are long gone. Must be called about once a
    /// second.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects: Vec<Effect> =
            self.waiting.due_for_lookup(self.limits.look_up_after, now).into_iter().map(Effect::LookUp).collect();
        let aged = self.waiting.take_older(self.limits.give_up_after, now);
        give_up(aged, Counted::Aged, &mut effects);
        self.report_due(now, &mut effects);
        self.report_due_dependencies(now, &mut effects);
        self.recheck_presence(now, &mut effects);
        self.forget(now, &mut effects);
        effects
    }

    fn forget(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let remember = self.limits.remember_gone;
        let gone_long = |tracked: &Tracked| tracked.gone_at.is_some_and(|at| now.duration_since(at) > remember);
        let mut forgotten: Vec<Uid> =
            self.tracked.iter().filter(|(_, tracked)| gone_long(tracked)).map(|(uid, _)| *uid).collect();
        forgotten.sort_unstable();
        for uid in forgotten {
            self.report_all_held(uid, effects);
            let Some(mut tracked) = self.untrack(uid) else { continue };
            if tracked.left {
                self.left.insert(&tracked.subject);
            }
            release(&mut tracked, effects);
            effects.push(Effect::Forget(uid));
        }
    }

    /// Stops tracking an object, and returns what was known of it.
    pub(super) fn untrack(&mut self, uid: Uid) -> Option<Box<Tracked>> {
        let tracked = self.tracked.remove(&uid)?;
        self.unschedule(uid, &tracked);
        self.names.remove(&tracked.subject);
        self.forget_dependencies(&tracked);
        if let (Some(unconfirmed), Some(owner)) = (&mut self.unconfirmed, tracked.controller) {
            unconfirmed.forget_pod_of(&tracked.subject.namespace, owner);
        }
        Some(tracked)
    }

    pub(super) fn seen(&mut self, now: Timestamp, origin: Origin, object: &Object, effects: &mut Vec<Effect>) {
        let Origin { scope, fact_scope, mut how } = origin;
        let (kind, meta) = parts(object);
        let Some(subject) = meta.subject(kind) else {
            return effects.push(Effect::Count(Counted::Malformed));
        };
        let uid = subject.uid;
        if self.past.is_pending(fact_scope, uid) && how == Arrival::ListedKnown {
            how = Arrival::ListedChanged;
        }
        if let Some(listing) = scope.and_then(|scope| self.listings.get_mut(&scope)) {
            listing.highest = listing.highest.max(meta.revision().unwrap_or_default());
        }
        let known = self.tracked.contains_key(&uid);
        if !known && self.holds_back(origin, uid, object, effects) {
            return;
        }
        // A pod's environment does not change; a template's may.
        if (!known || kind != Kind::Pod) && !self.carried(fact_scope, &subject, object, effects) {
            return;
        }
        if !known {
            let owner = meta.controller().map(|owner| owner.uid);
            let held = self
                .unconfirmed
                .as_mut()
                .zip(owner)
                .and_then(|(unconfirmed, owner)| unconfirmed.confirm(&subject.namespace, owner));
            if let Some((origin, workload)) = held {
                self.seen(now, origin, &workload, effects);
            }
        }
        // Its earlier state was reported before it left.
        if !known && self.left.remove(&subject) {
            how = Arrival::ListedKnown;
        }
        if known {
            self.note_owner(object, &subject, effects);
        }
        let was_missing = self.found(uid);
        let listing = scope.and_then(|scope| self.listings.get(&scope).copied()).unwrap_or_default();
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        if scope.is_some() {
            tracked.scope = scope;
            tracked.listing = listing.number;
        }
        tracked.revision = tracked.revision.max(meta.revision().unwrap_or_default());
        tracked.left = false;
        if tracked.gone_at.take().is_some() {
            confirm_agents(&*self.registrations, &mut self.carriers, tracked, effects);
        }
        let fact_id = fact_id_of(fact_scope, meta, uid);
        if !known && kind.is_announced() && self.is_new(fact_scope, meta, uid, how) {
            if let Some(workload) = self.workload_of(uid) {
                self.recover_workload(now, workload, effects);
            }
            let at = meta.creation_timestamp.unwrap_or(now);
            self.announce(now, uid, Report::new(FindingKind::Created, at, fact_id), effects);
        }
        match object {
            Object::Pod(pod) => {
                self.settle_pulls(uid, pod);
                self.recover(now, uid, pod, effects);
                self.status(now, uid, fact::of_status(pod), (known, how), fact_id, effects);
                self.note_running(now, uid, pod, (known, how), effects);
                self.note_dependencies(now, uid, pod, effects);
            }
            Object::Workload(kind, workload) => {
                self.status(now, uid, of_workload(*kind, workload), (known, how), fact_id, effects);
            }
        }
        if !known || was_missing {
            self.replay_waiting(now, &subject, effects);
        }
        if was_missing {
            self.replay_dependencies(now, uid, effects);
        }
    }

    /// Holds a workload while none of its pods is tracked. Returns true if the workload must not be tracked yet.
    fn holds_back(&mut self, origin: Origin, uid: Uid, object: &Object, effects: &mut Vec<Effect>) -> bool {
        let (Some(unconfirmed), Object::Workload(_, workload)) = (&mut self.unconfirmed, object) else { return false };
        if unconfirmed.is_confirmed(&workload.metadata.namespace, uid)
            || extract::agents(&workload.spec.template.spec).agents.is_empty()
        {
            return false;
        }
        // The watch also shows objects that were looked up.
        let listing = origin.scope.and_then(|scope| self.listings.get(&scope).copied()).unwrap_or_default();
        if origin.scope.is_some() && !unconfirmed.hold(uid, origin, object, listing.number, self.limits.unconfirmed) {
            effects.push(Effect::Count(Counted::TooMany));
        }
        true
    }

    /// True if an object that was not tracked before is to be announced.
    fn is_new(&self, scope: Option<ScopeId>, meta: &Meta, uid: Uid, how: Arrival) -> bool {
        match how {
            Arrival::ListedKnown => false,
            Arrival::Watched => true,
            Arrival::ListedChanged => !self.past.was_announced(scope, uid, meta),
        }
    }
}

pub(super) fn parts(object: &Object) -> (Kind, &Meta) {
    match object {
        Object::Pod(pod) => (Kind::Pod, &pod.metadata),
        Object::Workload(kind, workload) => (*kind, &workload.metadata),
    }
}

pub(super) fn fact_id_of(scope: Option<ScopeId>, meta: &Meta, subject: Uid) -> Option<FactId> {
    Some(FactId { scope: scope?, revision: meta.revision()?, subject, fact: FactKey::EVENT })
}
