//! A tracked object: one that carries agents.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    dedup::{Deduplicator, Key},
    ends::Ends,
    event_fact::Images,
    pulls::Pulls,
    recovery::Trouble,
    start::Progress,
};
use crate::{
    checkpoint::FactKey,
    dependency::Dependency,
    extract::{Agent, TokenSource},
    fact_id::{FactId, ScopeId},
    finding::Finding,
    identity::{Subject, Uid},
    token::AgentToken,
    workspace::{Owner, WorkspaceKey},
};

/// Maximum number of findings held while a token is being resolved.
pub(super) const HELD: usize = 64;

/// Maximum number of status facts remembered. A pod has a few for each container at a time.
const SEEN: usize = 512;

/// A missing object whose presence is being checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missing {
    pub(super) since: Timestamp,
    pub(super) fact_id: Option<FactId>,
}

#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) subject: Subject,
    pub(super) workspace: Option<WorkspaceKey>,
    pub(super) owner: Owner,
    pub(super) controller: Option<Uid>,
    pub(super) created: Option<Timestamp>,
    /// Dependencies of a pod.
    pub(super) dependencies: Arc<[Dependency]>,
    /// Time at which a pod got its node.
    pub(super) scheduled: Option<Timestamp>,
    /// Time at which a pod was first seen to have ended, while it still exists.
    pub(super) ended_at: Option<Timestamp>,
    /// Its resourceVersion when it was last seen.
    pub(super) revision: u64,
    /// Images of a pod's containers.
    pub(super) images: Images,
    /// Scope that shows it; `None` while only a lookup did.
    pub(super) scope: Option<ScopeId>,
    /// List of that scope in which it was last seen.
    pub(super) listing: u32,
    /// Token sources in its spec, to notice a template change.
    pub(super) sources: Vec<TokenSource>,
    pub(super) agents: Arc<[AgentToken]>,
    pub(super) unresolved: Vec<TokenSource>,
    resolved: Vec<(TokenSource, AgentToken)>,
    /// Findings reported while references are unresolved, for the agents to come.
    pub(super) held: Vec<Finding>,
    pub(super) dedup: Deduplicator,
    /// Due time of the next held fact, as in the correlator's order.
    pub(super) due: Option<Timestamp>,
    pub(super) ends: Ends,
    /// Stages of its start with reported trouble.
    pub(super) trouble: Trouble,
    pub(super) pulls: Pulls,
    /// True if its removal by the cluster was reported: its containers end because of that.
    pub(super) taken_away: bool,
    pub(super) progress: Progress,
    seen: VecDeque<Key>,
    /// Facts of its status that a restart need not report again.
    pub(super) known: BTreeSet<FactKey>,
    pub(super) gone_at: Option<Timestamp>,
    /// Set if it may be deleted, have left the selection, or be hidden by a stale list.
    pub(super) missing: Option<Missing>,
    /// True for one of many pods of its workload: its creation is counted, and the steps of its start are not reported.
    pub(super) only_counted: bool,
    /// True if it exists and is no longer selected: nothing is reported about it.
    pub(super) left: bool,
}

impl Tracked {
    pub(super) fn new(subject: Subject, workspace: Option<WorkspaceKey>, controller: Option<Uid>) -> Self {
        Self {
            subject,
            workspace,
            owner: Owner { user: String::new(), workspace: String::new() },
            controller,
            created: None,
            dependencies: Arc::from([]),
            scheduled: None,
            ended_at: None,
            revision: 0,
            images: Images::default(),
            scope: None,
            listing: 0,
            sources: Vec::new(),
            agents: Arc::from([]),
            unresolved: Vec::new(),
            resolved: Vec::new(),
            held: Vec::new(),
            dedup: Deduplicator::default(),
            due: None,
            ends: Ends::default(),
            trouble: Trouble::default(),
            pulls: Pulls::default(),
            taken_away: false,
            progress: Progress::default(),
            seen: VecDeque::new(),
            known: BTreeSet::new(),
            gone_at: None,
            missing: None,
            only_counted: false,
            left: false,
        }
    }

    /// Adds the agents of a spec and drops those no longer in it. Returns new references to resolve.
    pub(super) fn carry(&mut self, agents: Vec<Agent>) -> Vec<TokenSource> {
        let mut sources: Vec<TokenSource> = Vec::with_capacity(agents.len());
        for Agent { source, .. } in agents {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        let before = std::mem::replace(&mut self.sources, sources.clone());
        if before == sources {
            return Vec::new();
        }
        self.resolved.retain(|(source, _)| sources.contains(source));
        self.unresolved.retain(|source| sources.contains(source));
        let resolved = self.resolved.iter().map(|(_, token)| *token);
        let values = sources.iter().filter_map(|source| match source {
            TokenSource::Value(token) => Some(*token),
            TokenSource::Reference(_) => None,
        });
        let mut carried: Vec<AgentToken> = Vec::new();
        for token in values.chain(resolved) {
            if !carried.contains(&token) {
                carried.push(token);
            }
        }
        self.agents = carried.into();
        sources.retain(|source| matches!(source, TokenSource::Reference(_)) && !before.contains(source));
        self.unresolved.extend(sources.iter().cloned());
        sources
    }

    /// Forgets what was reported: other agents read what happens from now on.
    pub(super) fn start_over(&mut self) {
        self.dedup.start_over();
        self.seen.clear();
        self.trouble = Trouble::default();
        self.progress = Progress::default();
    }

    /// Records the token of a reference. Returns false if its agent was known already.
    pub(super) fn resolve(&mut self, source: &TokenSource, token: AgentToken) -> bool {
        self.resolved.push((source.clone(), token));
        let new = !self.agents.contains(&token);
        if new {
            self.agents = self.agents.iter().copied().chain([token]).collect();
        }
        new
    }

    /// True if it existed at this time. Allows for clocks of whole seconds.
    pub(super) fn lived_at(&self, time: Timestamp) -> bool {
        let created = self.created.is_none_or(|created| created.as_second() <= time.as_second() + 1);
        created && self.gone_at.is_none_or(|gone| time.as_second() <= gone.as_second() + 1)
    }

    /// Records a fact of the status. Returns true the first time.
    pub(super) fn notes(&mut self, identity: Key) -> bool {
        if self.seen.contains(&identity) {
            return false;
        }
        if self.seen.len() >= SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(identity);
        true
    }
}
