//! Outstanding facts, and the checkpoints that follow from them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use logstream_core::{
    checkpoint::{Checkpoint, FactKey},
    fact_id::{FactId, ScopeId},
    identity::{Subject, Uid},
    resource::Resource,
    token::AgentToken,
};
use tokio::sync::Notify;

use super::{
    Saved,
    agents::Agents,
    tracking::{Room, Tracking, Undelivered},
};
use crate::{deliver::AckSink, watch::Scopes};

/// Maximum number of saved pending subjects, over all scopes: some 400 KB of a ConfigMap's 1 MiB.
pub(super) const MAX_PENDING: usize = 8_000;
/// Maximum number of saved objects with known facts, over all scopes: some 150 KB.
const MAX_KNOWN: usize = 2_000;

/// Outstanding facts and checkpoints. The correlating task tracks facts, delivery acknowledges them. The lock is held
/// for a few map operations.
#[derive(Debug)]
pub struct Ledger {
    scopes: Arc<Scopes>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    loaded: bool,
    /// Generation of the previous process; 0 if it is not known.
    generation: u64,
    tracking: HashMap<ScopeId, Tracking>,
    /// Scopes whose watch has started.
    started: HashSet<ScopeId>,
    outstanding: BTreeMap<FactId, u32>,
    /// Number of outstanding facts of each subject, and its creation time if that is known.
    subjects: HashMap<Uid, (usize, Option<Timestamp>)>,
    agents: Agents,
}

impl Ledger {
    /// An empty ledger. It has no snapshot before [`Ledger::load`].
    pub fn new(scopes: Arc<Scopes>) -> Arc<Self> {
        Arc::new(Self { scopes, state: Mutex::default(), changed: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Continues from the checkpoints of an earlier process; the default if they are not known. A scope's checkpoint
    /// stays as saved until the scope has been listed.
    pub fn load(&self, saved: &Saved) {
        let mut state = self.state();
        for (id, _) in self.scopes.iter() {
            if let Some(checkpoint) = saved.of_scope(&self.scopes, id) {
                state.tracking.insert(id, Tracking::new(checkpoint.clone()));
            }
        }
        state.agents.load(&saved.agents);
        state.generation = saved.generation;
        state.loaded = true;
    }

    /// Records that a scope's watch starts. This changes the snapshot: a process killed before its first fact would
    /// otherwise make the next one start later.
    pub fn started(&self, scope: ScopeId, from: Checkpoint) {
        let mut state = self.state();
        state.tracking.insert(scope, Tracking::new(from));
        state.started.insert(scope);
        drop(state);
        self.changed.notify_one();
    }

    /// True once [`Ledger::load`] was called.
    pub fn is_loaded(&self) -> bool {
        self.state().loaded
    }

    /// Waits until the watch of every scope has started. Consumes a pending [`Ledger::changed`].
    pub async fn all_started(&self) {
        let needed: Vec<ScopeId> =
            self.scopes.iter().filter(|(_, scope)| !scope.resource.is_optional()).map(|(id, _)| id).collect();
        while !needed.iter().all(|scope| self.state().started.contains(scope)) {
            self.changed().await;
        }
    }

    /// Tracks a fact that is about to be reported, or held. It is outstanding until [`AckSink::ack`] was called the
    /// same number of times. That alone is no reason to save: until the fact is delivered, the checkpoint before it is
    /// as good, and the save would compete with the delivery.
    pub fn track(&self, fact_id: FactId) {
        let mut state = self.state();
        let count = state.outstanding.entry(fact_id).or_default();
        *count += 1;
        if *count == 1 {
            state.subjects.entry(fact_id.subject).or_default().0 += 1;
        }
    }

    /// Sets the creation time of an object that was seen.
    pub fn created(&self, subject: Uid, at: Timestamp) {
        if let Some((_, created)) = self.state().subjects.get_mut(&subject) {
            *created = Some(at);
        }
    }

    /// Records that a list of the scope begins.
    pub fn listing(&self, scope: ScopeId) {
        self.with(scope, Tracking::listing);
    }

    /// Records that the list of the scope is complete.
    pub fn synced(&self, scope: ScopeId, now: Timestamp) {
        self.with(scope, |tracking| tracking.synced(now));
        self.changed.notify_one();
    }

    /// Records that the fact of this resourceVersion was handled, and that all that follows from it is tracked.
    pub fn reached(&self, scope: ScopeId, revision: u64, now: Timestamp) {
        self.with(scope, |tracking| tracking.reached(revision, now));
    }

    /// Records that the creation of an object was reported, and that its lines are tracked.
    pub fn announced(&self, subject: &Subject, created: Timestamp) {
        let resource = Resource::Objects(subject.kind);
        if let Some(scope) = self.scopes.covering(resource, &subject.namespace) {
            self.with(scope, |tracking| tracking.announced(subject.uid, created));
        }
    }

    /// Records facts of an object's status that need not be reported again once they are acknowledged.
    pub fn known(&self, scope: ScopeId, subject: Uid, facts: BTreeSet<FactKey>) {
        self.with(scope, |tracking| tracking.known(subject, facts));
    }

    /// Records whether a live object carries the agent.
    pub fn set_live(&self, agent: &AgentToken, live: bool) {
        self.state().agents.set_live(agent.fingerprint().to_string(), live);
    }

    fn with(&self, scope: ScopeId, change: impl FnOnce(&mut Tracking)) {
        if let Some(tracking) = self.state().tracking.get_mut(&scope) {
            change(tracking);
        }
    }

    /// Number of outstanding facts.
    pub fn outstanding(&self) -> usize {
        self.state().outstanding.len()
    }

    /// Waits until a fact is acknowledged, or a scope starts or has been listed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The checkpoints now, with the generation that was loaded; `None` before [`Ledger::load`].
    pub fn snapshot(&self, now: Timestamp) -> Option<Saved> {
        let mut state = self.state();
        if !state.loaded {
            return None;
        }
        let undelivered = state.undelivered();
        let none = Undelivered::default();
        let of = |scope: &ScopeId| undelivered.get(scope).unwrap_or(&none);
        let tracking = &state.tracking;
        let share = |limit: usize, sizes: Vec<usize>| match sizes.iter().sum::<usize>() {
            all if all <= limit => limit,
            _ => limit / sizes.iter().filter(|size| **size > 0).count().max(1),
        };
        let room = Room {
            pending: share(MAX_PENDING, tracking.iter().map(|(id, scope)| scope.pending(of(id))).collect()),
            known: share(MAX_KNOWN, tracking.values().map(Tracking::known_objects).collect()),
        };
        let scopes = tracking.iter().filter_map(|(id, tracking)| {
            let scope = self.scopes.get(*id)?;
            let is_events = scope.resource.is_events();
            Some((scope.key(), tracking.checkpoint(of(id), is_events, room)))
        });
        let scopes = scopes.collect();
        let generation = state.generation;
        Some(Saved { generation, writer: 0, scopes, agents: state.agents.snapshot(now) })
    }
}

impl State {
    fn undelivered(&self) -> HashMap<ScopeId, Undelivered> {
        let mut all: HashMap<ScopeId, Undelivered> = HashMap::new();
        // In the order of scopes, then of resourceVersions.
        for fact_id in self.outstanding.keys() {
            let of_scope = all.entry(fact_id.scope).or_default();
            let facts = of_scope.facts.entry(fact_id.subject).or_default();
            if facts.is_empty() {
                of_scope.subjects.push((fact_id.subject, fact_id.revision));
                let created = self.subjects.get(&fact_id.subject).and_then(|(_, created)| *created);
                of_scope.created.extend(created.map(|created| (fact_id.subject, created)));
            }
            facts.insert(fact_id.fact);
        }
        all
    }
}

impl AckSink for Ledger {
    fn ack(&self, fact_id: FactId) {
        let mut state = self.state();
        let Some(count) = state.outstanding.get_mut(&fact_id) else { return };
        *count -= 1;
        if *count == 0 {
            state.outstanding.remove(&fact_id);
            if let Some((facts, _)) = state.subjects.get_mut(&fact_id.subject) {
                *facts -= 1;
                if *facts == 0 {
                    state.subjects.remove(&fact_id.subject);
                }
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    fn spent(&self, agent: &AgentToken, bytes: u64) {
        self.state().agents.spent(agent.fingerprint().to_string(), bytes);
    }

    fn spent_before(&self, agent: &AgentToken) -> u64 {
        self.state().agents.bytes(&agent.fingerprint().to_string())
    }
}
