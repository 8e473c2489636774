//! An object that carries agents, as the correlator remembers it.

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
};
use crate::{
    checkpoint::FactKey,
    extract::{Agent, TokenSource},
    fact_id::{FactId, ScopeId},
    finding::Finding,
    identity::{Subject, Uid},
    token::AgentToken,
    workspace::WorkspaceKey,
};

/// How many findings are kept for an agent whose token is still being resolved.
pub(super) const HELD: usize = 64;

/// The facts of status that are remembered as seen; a pod has a few for each container at a time.
const SEEN: usize = 512;

/// An object that is missing, until it is confirmed where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missing {
    pub(super) since: Timestamp,
    pub(super) fact_id: Option<FactId>,
}

#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) subject: Subject,
    pub(super) workspace: Option<WorkspaceKey>,
    pub(super) controller: Option<Uid>,
    pub(super) created: Option<Timestamp>,
    /// Its resourceVersion when it was last seen.
    pub(super) revision: u64,
    /// Of a pod's containers.
    pub(super) images: Images,
    /// The scope that shows it; none while only a lookup has.
    pub(super) scope: Option<ScopeId>,
    /// The listing of that scope in which it was last seen.
    pub(super) listing: u32,
    /// What its spec carries, to see a template change.
    pub(super) sources: Vec<TokenSource>,
    pub(super) agents: Arc<[AgentToken]>,
    pub(super) unresolved: Vec<TokenSource>,
    resolved: Vec<(TokenSource, AgentToken)>,
    /// What was said while references were unresolved, for the agents to come.
    pub(super) held: Vec<Finding>,
    pub(super) dedup: Deduplicator,
    /// When the next held fact of `told` is due, as the correlator has it in its order.
    pub(super) due: Option<Timestamp>,
    pub(super) ends: Ends,
    /// Stages of its start that trouble was reported about.
    pub(super) trouble: Trouble,
    pub(super) pulls: Pulls,
    /// It was told that the cluster takes it away: its containers' ends follow from that.
    pub(super) taken_away: bool,
    seen: VecDeque<Key>,
    /// The facts of its status that a restart need not report again.
    pub(super) known: BTreeSet<FactKey>,
    pub(super) gone_at: Option<Timestamp>,
    /// It may be deleted, or have left the selection, or be hidden by a stale list.
    pub(super) missing: Option<Missing>,
    /// One of many pods of its workload: its creation was counted, and the steps of its start are not told.
    pub(super) only_counted: bool,
    /// It exists and is not selected any more: nothing is said of it.
    pub(super) left: bool,
}

impl Tracked {
    pub(super) fn new(subject: Subject, workspace: Option<WorkspaceKey>, controller: Option<Uid>) -> Self {
        Self {
            subject,
            workspace,
            controller,
            created: None,
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
            seen: VecDeque::new(),
            known: BTreeSet::new(),
            gone_at: None,
            missing: None,
            only_counted: false,
            left: false,
        }
    }

    /// Takes over what a spec carries, and lets go of what it does not carry any more. Returns the references that are
    /// new and must be resolved.
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

    /// A reference was read. False if its agent was there already.
    pub(super) fn resolve(&mut self, source: &TokenSource, token: AgentToken) -> bool {
        self.resolved.push((source.clone(), token));
        let new = !self.agents.contains(&token);
        if new {
            self.agents = self.agents.iter().copied().chain([token]).collect();
        }
        new
    }

    /// True if it existed at this time, by clocks of whole seconds.
    pub(super) fn lived_at(&self, time: Timestamp) -> bool {
        let created = self.created.is_none_or(|created| created.as_second() <= time.as_second() + 1);
        created && self.gone_at.is_none_or(|gone| time.as_second() <= gone.as_second() + 1)
    }

    /// Notes a fact of status; true the first time.
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
