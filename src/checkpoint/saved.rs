//! The saved form of the checkpoints.

use std::collections::BTreeMap;

use logstream_core::checkpoint::Checkpoint;
use serde::{Deserialize, Serialize};

use crate::watch::Scopes;

/// The checkpoints of every scope, named `events/ns` or `pods/*`, and the output of each agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Saved {
    /// Grows by one with each process that continues from it: the later process is the one that saves.
    pub generation: u64,
    /// Tells processes of one generation apart.
    pub writer: u64,
    /// Checkpoint of each scope.
    pub scopes: BTreeMap<String, Checkpoint>,
    /// Bytes of output delivered to agents, by the fingerprint of their token.
    pub agents: BTreeMap<String, u64>,
}

impl Saved {
    /// The checkpoint of a scope. A namespace that was watched with all others continues from theirs.
    pub fn of_scope(&self, scopes: &Scopes, id: logstream_core::fact_id::ScopeId) -> Option<&Checkpoint> {
        let scope = scopes.get(id)?;
        let all = || self.scopes.get(&format!("{}/*", scope.resource.plural()));
        self.scopes.get(&scope.key()).or_else(all)
    }

    /// True if nothing differs but the writer and the times that advance by themselves.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let timeless =
            |checkpoint: &Checkpoint| Checkpoint { status_until: jiff::Timestamp::UNIX_EPOCH, ..checkpoint.clone() };
        self.agents == other.agents
            && self.scopes.len() == other.scopes.len()
            && self
                .scopes
                .iter()
                .zip(&other.scopes)
                .all(|((key, one), (other_key, other))| key == other_key && timeless(one) == timeless(other))
    }
}
