//! The engine: one task that owns all outboxes and requests.

mod drain;
mod response;
pub(super) mod shutdown_report;

use std::{pin::pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use logstream_core::{line::LogLine, token::AgentToken, workspace::WorkspaceKey};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::deliver::{
    accounting::{Accounting, AckSink},
    agents::agent::{Accepted, Phase, Presence, State},
    agents::failed_starts::FailedStarts,
    agents::table::AgentTable,
    command::{Command, Inlet, Outlet, pipe},
    engine::shutdown_report::Report,
    metrics::{Dropped, Metrics},
    queue::outbox::{Held, Note, Taken},
    rate::availability::Availability,
    rate::in_flight::{InFlight, Next, Request},
    rate::priority::{Endpoint, Priority},
    settings::Settings,
};
use crate::{
    coder::CoderApi,
    leader::Leadership,
    runtime::{Heartbeat, LogOnce},
};

/// Maximum number of commands handled between two looks at the requests.
const TURN: usize = 128;

/// The engine of delivery, to be [run](Engine::run).
pub struct Engine<A> {
    pub(crate) api: Arc<A>,
    pub(crate) settings: Settings,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    pub(crate) inlet: Inlet,
    leadership: Leadership,
    heartbeat: Heartbeat,
    pub(crate) agents: AgentTable,
    pub(crate) in_flight: InFlight,
    pub(crate) availability: Availability,
    pub(crate) failed_starts: FailedStarts,
    pub(crate) accounting: Accounting,
    pub(crate) random: fastrand::Rng,
    pub(crate) draining: bool,
    pub(crate) logged: LoggedOnce,
}

/// Conditions that are logged once.
#[derive(Default)]
pub(crate) struct LoggedOnce {
    /// An agent was ignored because there are too many.
    crowded: LogOnce,
    /// Coder rejected a request as malformed.
    pub(crate) refused: LogOnce,
}

/// Creates an engine and the [`Outlet`] that leads to it. `clock` is the time of day, for late lines and delay metrics.
/// `acks` receives the fact of each line that was delivered or dropped.
pub fn channel<A: CoderApi>(
    api: A,
    settings: Settings,
    clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    acks: Arc<dyn AckSink>,
    metrics: Metrics,
) -> (Outlet, Engine<A>) {
    let (outlet, inlet) = pipe(metrics.clone());
    let engine = Engine {
        api: Arc::new(api),
        clock: Box::new(clock),
        inlet,
        leadership: Leadership::without_election(),
        heartbeat: Heartbeat::new("deliver"),
        agents: AgentTable::new(settings.clone(), metrics.clone()),
        in_flight: InFlight::new(settings.max_in_flight, metrics.clone()),
        availability: Availability::Unknown,
        failed_starts: FailedStarts::default(),
        accounting: Accounting::new(acks, metrics),
        random: fastrand::Rng::new(),
        draining: false,
        logged: LoggedOnce::default(),
        settings,
    };
    (outlet, engine)
}

impl<A: CoderApi> Engine<A> {
    /// Makes the engine send only while this process may, which is checked before every request. Without this, the
    /// engine always sends.
    #[must_use]
    pub fn with_leadership(mut self, leadership: Leadership) -> Self {
        self.leadership = leadership;
        self
    }

    /// Reports to this heartbeat when commands are handled and requests started. Waiting for Coder does not count as
    /// work.
    #[must_use]
    pub fn with_heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// Delivers until `shutdown`, or until every [`Outlet`] is gone; then delivers what it can within `grace`.
    pub async fn run(mut self, shutdown: CancellationToken, grace: Duration) -> Report {
        let mut inbox = Vec::with_capacity(TURN);
        loop {
            let wake = {
                let _busy = self.heartbeat.busy();
                self.turn(Instant::now())
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                count = self.inlet.commands.recv_many(&mut inbox, TURN) => {
                    if count == 0 {
                        break;
                    }
                    let _busy = self.heartbeat.busy();
                    let now = Instant::now();
                    for command in inbox.drain(..) {
                        self.take_in(command, now);
                    }
                }
                Some(agent) = self.inlet.expected.recv() => self.prepare(agent, Instant::now()),
                done = self.in_flight.finished() => self.handle_response(done, Instant::now()),
                () = self.leadership.changed() => {}
                () = alarm(wake) => {}
            }
        }
        self.drain(grace).await
    }

    /// Handles due timers, then starts requests. Returns when to do so again.
    pub(crate) fn turn(&mut self, now: Instant) -> Option<Instant> {
        self.agents.requeue(now);
        while let Some(agent) = self.agents.fired(now) {
            self.timer_fired(agent, now);
            self.agents.requeue(now);
        }
        let requests = self.grant(now);
        match (requests, self.agents.next_timer()) {
            (Some(requests), Some(timer)) => Some(requests.min(timer)),
            (requests, timer) => requests.or(timer),
        }
    }

    /// True if this process may send.
    pub(crate) fn may_send(&self) -> bool {
        self.leadership.may_send()
    }

    fn grant(&mut self, now: Instant) -> Option<Instant> {
        while self.may_send() {
            match self.in_flight.next(&self.agents.queue, now, self.draining, self.agents.waiting()) {
                Next::Go(priority) => {
                    self.start(priority, now);
                    self.agents.requeue(now);
                }
                Next::Wait(until) => return until,
            }
        }
        None
    }

    fn start(&mut self, priority: Priority, now: Instant) {
        let Some((token, agent)) = self.agents.pop(priority) else { return };
        let api = Arc::clone(&self.api);
        let request: Request = match priority.endpoint() {
            Endpoint::LogSource => {
                agent.phase = Phase::InFlight { lines: 0 };
                Box::pin(async move { (None, api.post_log_source(&token).await) })
            }
            Endpoint::Logs => {
                let Taken { batch, refused } = agent.take((self.clock)());
                self.accounting.dropped(refused, Dropped::Budget);
                if batch.is_empty() {
                    return;
                }
                agent.phase = Phase::InFlight { lines: batch.lines() };
                Box::pin(async move {
                    let result = {
                        let wire = batch.wire();
                        api.send_logs(&token, &wire).await
                    };
                    (Some(batch), result)
                })
            }
        };
        self.in_flight.send(token, priority, request, now);
    }

    pub(crate) fn take_in(&mut self, command: Command, now: Instant) {
        match command {
            Command::Prepare { agent } => self.prepare(agent, now),
            Command::Open { agent, workspace } => self.open(agent, workspace, now),
            Command::Claimed { agent } => self.claimed(agent),
            Command::Line { agent, line } => self.line(agent, line, now),
            Command::Ended { agent } => self.ended(agent, now),
        }
    }

    /// Adds an agent if there is room, with the part of its budget that earlier processes left.
    fn add(&mut self, token: AgentToken, presence: Presence, now: Instant) -> bool {
        let added = self.agents.add(token, presence, now);
        if added && let Some(agent) = self.agents.get_mut(token) {
            agent.budget = self.accounting.budget(token);
        }
        added
    }

    fn prepare(&mut self, agent: AgentToken, now: Instant) {
        if self.agents.knows(agent) {
            return;
        }
        if !self.add(agent, Presence::Expected, now) {
            self.accounting.metrics.registration_ignored();
        }
    }

    fn open(&mut self, token: AgentToken, workspace: Option<WorkspaceKey>, now: Instant) {
        if !self.agents.knows(token) && !self.add(token, Presence::Live, now) {
            if self.logged.crowded.is_new(()) {
                warn!(agent = %token.fingerprint(), "too many agents, ignoring further ones");
            }
            return;
        }
        self.agents.open(token, workspace.clone(), now);
        if let Some(workspace) = workspace {
            self.end_earlier_starts(&workspace, token, now);
            self.note_earlier_failure(&workspace, token, now);
        }
    }

    /// Has the log source registered again with the next line, because it belongs to the previous agent. Coder rejects
    /// the token until the claim is complete.
    fn claimed(&mut self, token: AgentToken) {
        if let Some(agent) = self.agents.get_mut(token)
            && agent.state == State::Registered
        {
            agent.state = State::New;
        }
    }

    /// Ends earlier starts without a valid token. They never get one, because a token is valid for the latest build
    /// only.
    fn end_earlier_starts(&mut self, workspace: &WorkspaceKey, latest: AgentToken, now: Instant) {
        let others = self.agents.of_workspace(workspace).to_vec();
        for other in others.into_iter().filter(|other| *other != latest) {
            let Some(agent) = self.agents.get_mut(other) else { continue };
            match (agent.has_failed(), agent.is_in_flight()) {
                (false, _) => {}
                (true, true) => agent.followed_by = Some(latest),
                (true, false) => self.give_up(other, now),
            }
        }
    }

    /// Does the same for an agent that had a request in flight at that time.
    pub(crate) fn end_if_followed(&mut self, token: AgentToken, now: Instant) {
        let Some(agent) = self.agents.get_mut(token) else { return };
        let Some(latest) = agent.followed_by.take() else { return };
        let Some(workspace) = agent.workspace.clone() else { return };
        if agent.has_failed() {
            self.give_up(token, now);
            self.note_earlier_failure(&workspace, latest, now);
        }
    }

    fn note_earlier_failure(&mut self, workspace: &WorkspaceKey, latest: AgentToken, now: Instant) {
        let Some(agent) = self.agents.get_mut(latest) else { return };
        if let Some(text) = self.failed_starts.take(workspace, latest, now) {
            agent.outbox.push_note_front(Note::warning((self.clock)(), text));
        }
    }

    fn line(&mut self, token: AgentToken, line: LogLine, now: Instant) {
        self.accounting.received();
        let held = Held { line, received: now };
        if !self.agents.knows(token) && !self.add(token, Presence::Ended, now) {
            self.accounting.dropped(vec![held], Dropped::TooManyAgents);
            return;
        }
        let Some(agent) = self.agents.get_mut(token) else { return };
        agent.last_line = now;
        let closed = match agent.state {
            State::Full => Some(Dropped::Full),
            State::Revoked => Some(Dropped::Revoked),
            State::New | State::Registered | State::Unauthorized => None,
        };
        if let Some(reason) = closed {
            self.accounting.dropped(vec![held], reason);
        } else {
            let expected = agent.presence == Presence::Expected;
            let gone = agent.outbox.push(held);
            self.accounting.dropped(gone, Dropped::Overflow);
            if expected {
                // Lines exist only for agents whose token was seen in an object.
                self.agents.open(token, None, now);
            }
        }
        if self.accounting.lines() > self.settings.max_lines {
            self.relieve();
        }
    }

    /// Drops half of the lines of the agent with the most, because too many are held over all agents.
    fn relieve(&mut self) {
        let most = self.agents.agents().max_by_key(|(_, agent)| agent.outbox.lines()).map(|(token, _)| token);
        let Some(token) = most else { return };
        if let Some(agent) = self.agents.get_mut(token) {
            let gone = agent.outbox.halve();
            self.accounting.dropped(gone, Dropped::Overflow);
        }
    }

    fn ended(&mut self, token: AgentToken, now: Instant) {
        let Some(agent) = self.agents.get_mut(token) else { return };
        if agent.presence == Presence::Live {
            agent.presence = Presence::Ended;
            agent.since = now;
        }
    }

    fn timer_fired(&mut self, token: AgentToken, now: Instant) {
        let Some(agent) = self.agents.get_mut(token) else { return };
        if !agent.is_in_flight() && agent.end(&self.settings).is_some_and(|at| at <= now) {
            self.give_up(token, now);
        }
    }

    /// Drops what an agent holds, and the agent itself unless a live object carries it.
    pub(crate) fn give_up(&mut self, token: AgentToken, now: Instant) {
        let Some(agent) = self.agents.get_mut(token) else { return };
        let (presence, never_valid) = (agent.presence, agent.never_valid());
        let accepted = agent.accepted > Accepted::Nothing;
        let remains = agent.clear();
        if !remains.lines.is_empty() {
            debug!(agent = %token.fingerprint(), lines = remains.count, accepted, "gave up lines");
        }
        if let (false, Some(workspace)) = (accepted, agent.workspace.clone()) {
            self.failed_starts.remember(workspace, token, &remains, now);
        }
        let reason = if never_valid { Dropped::NeverValid } else { Dropped::Expired };
        self.accounting.dropped(remains.lines, reason);
        if presence != Presence::Live {
            self.agents.remove(token);
        }
    }

    pub(crate) fn time(&self) -> Timestamp {
        (self.clock)()
    }
}

/// Completes at this time, or never without one.
pub(crate) async fn alarm(at: Option<Instant>) {
    match at {
        Some(at) => pin!(sleep_until(at)).await,
        None => std::future::pending().await,
    }
}
