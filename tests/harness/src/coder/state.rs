//! State of the stand-in, behind one lock that is only held briefly.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::agent::Agent;
use super::fault::Faults;
use super::line::shown;
use super::rate_limit::Limiter;
use super::{Ansi, CoderOptions, Endpoint, JournalEntry, Line, Valid, Violation};

#[derive(Debug)]
pub(super) struct State {
    inner: Mutex<Inner>,
    /// Incremented by every change, which wakes all waiting tasks.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct Inner {
    agents: HashMap<String, Agent>,
    pub(super) budget: usize,
    pub(super) latency: Duration,
    pub(super) limiter: Limiter,
    pub(super) faults: Faults,
    pub(super) violations: Vec<Violation>,
    pub(super) requests: BTreeMap<(Endpoint, u16), usize>,
    pub(super) requests_of: HashMap<(String, Endpoint), usize>,
    pub(super) batches: u64,
    pub(super) line_count: usize,
    pub(super) in_flight: usize,
    pub(super) max_in_flight: usize,
    /// Optional, because it grows with every request.
    pub(super) journal: Option<Vec<JournalEntry>>,
}

impl State {
    pub(super) fn new(options: &CoderOptions) -> Self {
        let inner = Inner {
            agents: HashMap::new(),
            budget: options.budget,
            latency: options.latency,
            limiter: Limiter::new(options.rate_limit),
            faults: Faults::default(),
            violations: Vec::new(),
            requests: BTreeMap::new(),
            requests_of: HashMap::new(),
            batches: 0,
            line_count: 0,
            in_flight: 0,
            max_in_flight: 0,
            journal: options.journal.then(Vec::new),
        };
        Self { inner: Mutex::new(inner), changes: watch::Sender::new(0) }
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        look(&self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|count| *count += 1);
        result
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Inner {
    pub(super) fn add_agent(&mut self, token: &str, valid: Valid) {
        match self.agents.get_mut(token) {
            Some(agent) => agent.become_valid(valid),
            None => {
                self.agents.insert(token.to_owned(), Agent::new(valid));
            }
        }
    }

    pub(super) fn revoke(&mut self, token: &str) {
        if let Some(agent) = self.agents.get_mut(token) {
            agent.revoke();
        }
    }

    pub(super) fn claim(&mut self, token: &str, gone: Duration) {
        if let Some(agent) = self.agents.get_mut(token) {
            agent.claim(gone);
        }
    }

    pub(super) fn agent_writes(&mut self, token: &str, bytes: usize) -> bool {
        let budget = self.budget;
        self.agents.get_mut(token).is_some_and(|agent| agent.take(bytes, budget))
    }

    pub(super) fn agent(&self, token: &str) -> Option<&Agent> {
        self.agents.get(token)
    }

    /// The agent, if its token is valid now.
    pub(super) fn working(&mut self, token: &str) -> Option<&mut Agent> {
        self.agents.get_mut(token).filter(|agent| agent.works())
    }

    pub(super) fn count(&mut self, endpoint: Endpoint, status: u16) {
        *self.requests.entry((endpoint, status)).or_default() += 1;
    }

    pub(super) fn lines(&self, token: &str) -> Vec<Line> {
        self.agent(token).map(|agent| agent.lines.clone()).unwrap_or_default()
    }

    pub(super) fn startup_log(&self, token: &str, ansi: Ansi) -> String {
        let Some(agent) = self.agent(token) else { return String::new() };
        let present = agent.lines.iter().filter(|line| line.generation == agent.generation);
        present.map(|line| shown(line, ansi)).collect()
    }
}
