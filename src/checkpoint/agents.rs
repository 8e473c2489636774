//! Output of each agent over restarts: Coder closes a log that exceeds 1 MiB.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

/// Minimum output of a saved agent, in bytes. An ordinary start has less.
const NOTEWORTHY: u64 = 4 * 1024;
/// Maximum number of saved agents, those with the most output first: some 100 KB.
const MAX_SAVED: usize = 4_000;
/// Maximum number of agents in memory.
const MAX_AGENTS: usize = 50_000;
/// Time after which an agent without objects is dropped: a new pod may carry its token.
const REMEMBER_ENDED: SignedDuration = SignedDuration::from_hours(1);

/// Bytes delivered, by the fingerprint of the agent's token.
#[derive(Debug, Default)]
pub(super) struct Agents(HashMap<String, Agent>);

#[derive(Debug, Default)]
struct Agent {
    bytes: u64,
    live: bool,
    ended_at: Option<Timestamp>,
}

impl Agents {
    pub(super) fn load(&mut self, saved: &BTreeMap<String, u64>) {
        for (fingerprint, bytes) in saved.iter().take(MAX_AGENTS) {
            self.0.insert(fingerprint.clone(), Agent { bytes: *bytes, ..Agent::default() });
        }
    }

    pub(super) fn bytes(&self, fingerprint: &str) -> u64 {
        self.0.get(fingerprint).map(|agent| agent.bytes).unwrap_or_default()
    }

    pub(super) fn spent(&mut self, fingerprint: String, bytes: u64) {
        if let Some(agent) = self.0.get_mut(&fingerprint) {
            agent.bytes = agent.bytes.max(bytes);
        } else if self.0.len() < MAX_AGENTS {
            self.0.insert(fingerprint, Agent { bytes, ..Agent::default() });
        }
    }

    /// Records whether a live object carries the agent.
    pub(super) fn set_live(&mut self, fingerprint: String, live: bool) {
        if let Some(agent) = self.0.get_mut(&fingerprint) {
            agent.live = live;
            agent.ended_at = None;
        } else if live && self.0.len() < MAX_AGENTS {
            self.0.insert(fingerprint, Agent { live, ..Agent::default() });
        }
    }

    /// Drops agents that ended long ago. Returns those to be saved.
    pub(super) fn snapshot(&mut self, now: Timestamp) -> BTreeMap<String, u64> {
        self.0.retain(|_, agent| agent.live || now.duration_since(*agent.ended_at.get_or_insert(now)) < REMEMBER_ENDED);
        let mut saved: Vec<_> = self.0.iter().filter(|(_, agent)| agent.bytes >= NOTEWORTHY).collect();
        saved.sort_unstable_by_key(|(fingerprint, agent)| (std::cmp::Reverse(agent.bytes), *fingerprint));
        saved.into_iter().take(MAX_SAVED).map(|(fingerprint, agent)| (fingerprint.clone(), agent.bytes)).collect()
    }
}
