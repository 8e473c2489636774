//! The agents, each with its position in the priority queue and its timer.

use std::collections::{BTreeSet, HashMap, hash_map};

use logstream_core::{token::AgentToken, workspace::WorkspaceKey};
use tokio::time::Instant;

use crate::deliver::{
    agents::agent::{Agent, Presence},
    metrics::Metrics,
    rate::priority::{Priority, PriorityQueue},
    settings::Settings,
};

/// The agents. An agent that was handed out for a change is requeued by [`AgentTable::requeue`], which the engine calls
/// before it looks at queue, timers or counts.
pub(crate) struct AgentTable {
    /// Boxed, as a table has up to twice as many places as entries.
    agents: HashMap<AgentToken, Box<Agent>>,
    by_workspace: HashMap<WorkspaceKey, Vec<AgentToken>>,
    /// Agents handed out for a change since the last requeue.
    changed: Vec<AgentToken>,
    settings: Settings,
    pub(crate) queue: PriorityQueue,
    timers: BTreeSet<(Instant, AgentToken)>,
    expected: usize,
    /// Agents with lines that could still be delivered.
    pending: usize,
    /// Pending agents whose token Coder does not accept yet.
    waiting: usize,
    metrics: Metrics,
}

impl AgentTable {
    pub(crate) fn new(settings: Settings, metrics: Metrics) -> Self {
        Self {
            agents: HashMap::new(),
            by_workspace: HashMap::new(),
            changed: Vec::new(),
            settings,
            queue: PriorityQueue::new(),
            timers: BTreeSet::new(),
            expected: 0,
            pending: 0,
            waiting: 0,
            metrics,
        }
    }

    /// Returns an agent to be changed.
    pub(crate) fn get_mut(&mut self, token: AgentToken) -> Option<&mut Agent> {
        let agent = self.agents.get_mut(&token)?;
        if self.changed.last() != Some(&token) {
            self.changed.push(token);
        }
        Some(agent)
    }

    pub(crate) fn knows(&self, token: AgentToken) -> bool {
        self.agents.contains_key(&token)
    }

    pub(crate) fn agents(&self) -> impl Iterator<Item = (AgentToken, &Agent)> {
        self.agents.iter().map(|(token, agent)| (*token, &**agent))
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Adds an agent if there is room. A full table drops agents that are gone and idle.
    pub(crate) fn add(&mut self, token: AgentToken, presence: Presence, now: Instant) -> bool {
        if presence == Presence::Expected && self.expected >= self.settings.max_expected {
            return false;
        }
        if self.agents.len() >= self.settings.max_agents {
            for idle in self.tokens(Agent::is_idle) {
                self.remove(idle);
            }
            if self.agents.len() >= self.settings.max_agents {
                return false;
            }
        }
        if let hash_map::Entry::Vacant(vacant) = self.agents.entry(token) {
            vacant.insert(Box::new(Agent::new(presence, now)));
            self.expected += usize::from(presence == Presence::Expected);
        }
        true
    }

    /// The agents that match.
    pub(crate) fn tokens(&self, which: impl Fn(&Agent) -> bool) -> Vec<AgentToken> {
        self.agents().filter(|(_, agent)| which(agent)).map(|(token, _)| token).collect()
    }

    /// The agents of a workspace.
    pub(crate) fn of_workspace(&self, workspace: &WorkspaceKey) -> &[AgentToken] {
        self.by_workspace.get(workspace).map_or(&[], Vec::as_slice)
    }

    /// Records that a live object carries the agent.
    pub(crate) fn open(&mut self, token: AgentToken, workspace: Option<WorkspaceKey>, now: Instant) {
        let Some(agent) = self.agents.get_mut(&token) else { return };
        self.changed.push(token);
        self.expected -= usize::from(agent.presence == Presence::Expected);
        let before = agent.workspace.clone();
        agent.open(workspace, now);
        let after = agent.workspace.clone();
        if before != after {
            self.leave_workspace(before.as_ref(), token);
            if let Some(workspace) = after {
                self.by_workspace.entry(workspace).or_default().push(token);
            }
        }
    }

    pub(crate) fn remove(&mut self, token: AgentToken) {
        let Some(agent) = self.agents.remove(&token) else { return };
        self.expected -= usize::from(agent.presence == Presence::Expected);
        self.pending -= usize::from(agent.place.pending);
        self.waiting -= usize::from(agent.place.is_waiting());
        if let Some(position) = agent.place.position {
            self.queue.leave(position);
        }
        if let Some(at) = agent.place.timer {
            self.timers.remove(&(at, token));
        }
        self.metrics.agent(agent.place.state, None);
        self.leave_workspace(agent.workspace.as_ref(), token);
    }

    /// Updates queue, timers and metrics for each agent that was changed.
    pub(crate) fn requeue(&mut self, now: Instant) {
        for token in std::mem::take(&mut self.changed) {
            self.requeue_agent(token, now);
        }
    }

    fn requeue_agent(&mut self, token: AgentToken, now: Instant) {
        let Some(agent) = self.agents.get_mut(&token) else { return };
        let first = std::mem::take(&mut agent.place.first);
        let priority = agent.priority(now);
        if agent.place.position.map(|position| position.priority) != priority {
            if let Some(position) = agent.place.position.take() {
                self.queue.leave(position);
            }
            let turn = agent.place.turn.filter(|_| agent.failures == 1);
            agent.place.position = priority.map(|priority| match turn {
                _ if first => self.queue.rejoin(priority, token),
                Some(turn) => self.queue.rejoin_at(priority, turn, token),
                None => self.queue.join(priority, token),
            });
        }
        let deadline = agent.deadline(now, &self.settings);
        if agent.place.timer != deadline {
            if let Some(at) = agent.place.timer {
                self.timers.remove(&(at, token));
            }
            if let Some(at) = deadline {
                self.timers.insert((at, token));
            }
            agent.place.timer = deadline;
        }
        let state = agent.state();
        self.metrics.agent(agent.place.state, Some(state));
        self.pending -= usize::from(agent.place.pending);
        self.waiting -= usize::from(agent.place.is_waiting());
        agent.place.pending = agent.is_pending();
        agent.place.state = Some(state);
        self.pending += usize::from(agent.place.pending);
        self.waiting += usize::from(agent.place.is_waiting());
    }

    /// Takes the next agent of a priority out of the queue.
    pub(crate) fn pop(&mut self, priority: Priority) -> Option<(AgentToken, &mut Agent)> {
        let (number, token) = self.queue.pop(priority)?;
        let agent = self.agents.get_mut(&token)?;
        self.changed.push(token);
        agent.place.position = None;
        agent.place.turn = Some(number);
        Some((token, agent))
    }

    /// Time of the next timer.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Takes an agent whose timer is due.
    pub(crate) fn fired(&mut self, now: Instant) -> Option<AgentToken> {
        let (at, token) = *self.timers.first()?;
        if at > now {
            return None;
        }
        self.timers.pop_first();
        if let Some(agent) = self.agents.get_mut(&token) {
            agent.place.timer = None;
        }
        Some(token)
    }

    fn leave_workspace(&mut self, workspace: Option<&WorkspaceKey>, token: AgentToken) {
        let Some(workspace) = workspace else { return };
        let Some(tokens) = self.by_workspace.get_mut(workspace) else { return };
        tokens.retain(|other| *other != token);
        if tokens.is_empty() {
            self.by_workspace.remove(workspace);
        }
    }
}
