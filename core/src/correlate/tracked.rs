//! An object that carries agents, as the correlator remembers it.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::told::{Key, Told};
use crate::{
    checkpoint::FactKey,
    extract::{Agent, TokenSource},
    identity::{Subject, Uid},
    line::{ScopeId, WorkspaceKey},
    notice::Notice,
    token::AgentToken,
};

/// How many notices are kept for an agent whose token is still being resolved.
pub(super) const HELD: usize = 64;

/// The facts of status that are remembered as seen; a pod has a few at a time.
const SEEN: usize = 64;

#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) subject: Subject,
    pub(super) workspace: Option<WorkspaceKey>,
    pub(super) controller: Option<Uid>,
    /// The scope that shows it; none while only a lookup has.
    pub(super) scope: Option<ScopeId>,
    /// The listing of that scope in which it was last seen.
    pub(super) listing: u32,
    /// What its spec carries, to see a template change.
    pub(super) sources: Vec<TokenSource>,
    pub(super) agents: Arc<[AgentToken]>,
    pub(super) unresolved: Vec<TokenSource>,
    /// What was said while references were unresolved, for the agents to come.
    pub(super) held: Vec<Notice>,
    pub(super) told: Told,
    seen: Vec<Key>,
    /// The facts of its status that a restart need not report again.
    pub(super) known: BTreeSet<FactKey>,
    pub(super) gone_at: Option<Timestamp>,
}

impl Tracked {
    pub(super) fn new(subject: Subject, workspace: Option<WorkspaceKey>, controller: Option<Uid>) -> Self {
        Self {
            subject,
            workspace,
            controller,
            scope: None,
            listing: 0,
            sources: Vec::new(),
            agents: Arc::from([]),
            unresolved: Vec::new(),
            held: Vec::new(),
            told: Told::default(),
            seen: Vec::new(),
            known: BTreeSet::new(),
            gone_at: None,
        }
    }

    /// Takes over what a spec carries. Returns the references that are new and must be resolved.
    pub(super) fn carry(&mut self, agents: Vec<Agent>) -> Vec<TokenSource> {
        let mut sources: Vec<TokenSource> = Vec::with_capacity(agents.len());
        for Agent { source, .. } in agents {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        let before = std::mem::replace(&mut self.sources, sources.clone());
        sources.retain(|source| !before.contains(source));
        for source in &sources {
            if let TokenSource::Value(token) = source {
                self.add(*token);
            }
        }
        sources.retain(|source| matches!(source, TokenSource::Reference(_)));
        self.unresolved.extend(sources.iter().cloned());
        sources
    }

    /// Adds an agent, once.
    pub(super) fn add(&mut self, token: AgentToken) {
        if !self.agents.contains(&token) {
            self.agents = self.agents.iter().copied().chain([token]).collect();
        }
    }

    /// Notes a fact of status; true the first time.
    pub(super) fn notes(&mut self, identity: Key) -> bool {
        if self.seen.contains(&identity) {
            return false;
        }
        if self.seen.len() >= SEEN {
            self.seen.remove(0);
        }
        self.seen.push(identity);
        true
    }
}
