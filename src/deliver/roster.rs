//! Who is known: the agents, each with its seat in a lane and its timer.

use std::collections::{BTreeSet, HashMap, hash_map};

use logstream_core::{token::AgentToken, workspace::WorkspaceKey};
use tokio::time::Instant;

use super::{
    agent::{Access, Agent, Life},
    lanes::{Lane, Lanes},
    metrics::Metrics,
    settings::Settings,
};

/// The agents. Whoever changes one calls [`Roster::reseat`] afterwards.
pub(super) struct Roster {
    agents: HashMap<AgentToken, Agent>,
    by_workspace: HashMap<WorkspaceKey, Vec<AgentToken>>,
    pub(super) lanes: Lanes,
    timers: BTreeSet<(Instant, AgentToken)>,
    claims: usize,
    /// Agents with lines that could still be delivered.
    pending: usize,
    /// Of these, those that are tried until they are valid.
    waiting: usize,
    metrics: Metrics,
}

impl Roster {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            agents: HashMap::new(),
            by_workspace: HashMap::new(),
            lanes: Lanes::new(),
            timers: BTreeSet::new(),
            claims: 0,
            pending: 0,
            waiting: 0,
            metrics,
        }
    }

    pub(super) fn get_mut(&mut self, token: AgentToken) -> Option<&mut Agent> {
        self.agents.get_mut(&token)
    }

    pub(super) fn knows(&self, token: AgentToken) -> bool {
        self.agents.contains_key(&token)
    }

    pub(super) fn agents(&self) -> impl Iterator<Item = (AgentToken, &Agent)> {
        self.agents.iter().map(|(token, agent)| (*token, agent))
    }

    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Adds an agent if there is room, if need be in place of those that are gone and idle.
    pub(super) fn add(&mut self, token: AgentToken, life: Life, now: Instant, settings: &Settings) -> bool {
        if life == Life::Claimed && self.claims >= settings.max_claims {
            return false;
        }
        if self.agents.len() >= settings.max_agents {
            for idle in self.tokens(Agent::is_idle) {
                self.remove(idle);
            }
            if self.agents.len() >= settings.max_agents {
                return false;
            }
        }
        if let hash_map::Entry::Vacant(vacant) = self.agents.entry(token) {
            vacant.insert(Agent::new(life, now));
            self.claims += usize::from(life == Life::Claimed);
        }
        true
    }

    /// The agents of whom this is so.
    pub(super) fn tokens(&self, which: impl Fn(&Agent) -> bool) -> Vec<AgentToken> {
        self.agents().filter(|(_, agent)| which(agent)).map(|(token, _)| token).collect()
    }

    /// The agents of a workspace.
    pub(super) fn of_workspace(&self, workspace: &WorkspaceKey) -> &[AgentToken] {
        self.by_workspace.get(workspace).map_or(&[], Vec::as_slice)
    }

    /// Acks an agent as bound to a live object.
    pub(super) fn open(&mut self, token: AgentToken, workspace: Option<WorkspaceKey>, now: Instant) {
        let Some(agent) = self.agents.get_mut(&token) else { return };
        self.claims -= usize::from(agent.life == Life::Claimed);
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

    pub(super) fn remove(&mut self, token: AgentToken) {
        let Some(agent) = self.agents.remove(&token) else { return };
        self.claims -= usize::from(agent.life == Life::Claimed);
        self.pending -= usize::from(agent.place.pending);
        self.waiting -= usize::from(agent.place.waiting);
        if let Some(seat) = agent.place.seat {
            self.lanes.leave(seat);
        }
        if let Some(at) = agent.place.timer {
            self.timers.remove(&(at, token));
        }
        self.metrics.agent(agent.place.state, None);
        self.leave_workspace(agent.workspace.as_ref(), token);
    }

    /// Puts an agent where it now belongs: into its lane, its timer and the metrics.
    pub(super) fn reseat(&mut self, token: AgentToken, now: Instant, settings: &Settings) {
        self.seat(token, now, settings, false);
    }

    /// The same, at the head of its lane: its turn came and was taken back.
    pub(super) fn reseat_first(&mut self, token: AgentToken, now: Instant, settings: &Settings) {
        self.seat(token, now, settings, true);
    }

    fn seat(&mut self, token: AgentToken, now: Instant, settings: &Settings, first: bool) {
        let Some(agent) = self.agents.get_mut(&token) else { return };
        let lane = agent.lane(now);
        if agent.place.seat.map(|seat| seat.lane) != lane {
            if let Some(seat) = agent.place.seat.take() {
                self.lanes.leave(seat);
            }
            let turn = agent.place.turn.filter(|_| agent.failures == 1);
            agent.place.seat = lane.map(|lane| match turn {
                _ if first => self.lanes.rejoin(lane, token),
                Some(turn) => self.lanes.rejoin_at(lane, turn, token),
                None => self.lanes.join(lane, token),
            });
        }
        let deadline = agent.deadline(now, settings);
        if agent.place.timer != deadline {
            if let Some(at) = agent.place.timer {
                self.timers.remove(&(at, token));
            }
            if let Some(at) = deadline {
                self.timers.insert((at, token));
            }
            agent.place.timer = deadline;
        }
        let pending = agent.is_pending();
        self.pending = self.pending + usize::from(pending) - usize::from(agent.place.pending);
        agent.place.pending = pending;
        let waiting = pending && agent.access == Access::Waiting;
        self.waiting = self.waiting + usize::from(waiting) - usize::from(agent.place.waiting);
        agent.place.waiting = waiting;
        let state = agent.state();
        self.metrics.agent(agent.place.state, Some(state));
        agent.place.state = Some(state);
    }

    /// The next agent of a lane, which has no seat then.
    pub(super) fn call(&mut self, lane: Lane) -> Option<(AgentToken, &mut Agent)> {
        let (number, token) = self.lanes.pop(lane)?;
        let agent = self.agents.get_mut(&token)?;
        agent.place.seat = None;
        agent.place.turn = Some(number);
        Some((token, agent))
    }

    /// When the next timer fires.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// An agent whose timer has fired.
    pub(super) fn fired(&mut self, now: Instant) -> Option<AgentToken> {
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
