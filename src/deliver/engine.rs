//! The engine: one task that owns every outbox and every request.

use std::{pin::pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use logstream_core::{line::LogLine, token::AgentToken, workspace::WorkspaceKey};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    agent::{Access, Life},
    books::{AckSink, Books},
    command::{Command, Inlet, Outlet, pipe},
    lanes::{Endpoint, Lane},
    leftovers::Leftovers,
    link::Link,
    metrics::{Dropped, Metrics},
    outbox::{Held, Note, Taken},
    report::Report,
    roster::Roster,
    settings::Settings,
    traffic::{Next, Traffic, Trip},
};
use crate::{coder::CoderApi, runtime::Heartbeat};

/// The most commands taken in before requests are looked after again.
const TURN: usize = 128;

/// Delivery's engine, to be [run](Engine::run).
pub struct Engine<A> {
    pub(super) api: Arc<A>,
    pub(super) settings: Settings,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    pub(super) inlet: Inlet,
    leave: Option<watch::Receiver<bool>>,
    heartbeat: Heartbeat,
    pub(super) roster: Roster,
    pub(super) traffic: Traffic,
    pub(super) link: Link,
    pub(super) leftovers: Leftovers,
    pub(super) books: Books,
    pub(super) random: fastrand::Rng,
    pub(super) draining: bool,
    pub(super) said: Said,
}

/// What the log was told once, and need not be told again.
#[derive(Default)]
pub(super) struct Said {
    crowded: bool,
    /// Coder could not read what we sent.
    pub(super) refused: bool,
}

/// An engine and the way into it. `clock` tells the time of day, for the text of late lines and the metrics of delay;
/// `settled` hears of every line that was delivered or dropped.
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
        leave: None,
        heartbeat: Heartbeat::new("deliver"),
        roster: Roster::new(metrics.clone()),
        traffic: Traffic::new(settings.max_in_flight, metrics.clone()),
        link: Link::Unknown,
        leftovers: Leftovers::default(),
        books: Books::new(acks, metrics),
        random: fastrand::Rng::new(),
        draining: false,
        said: Said::default(),
        settings,
    };
    (outlet, engine)
}

impl<A: CoderApi> Engine<A> {
    /// Sends only while this says `true`: it is asked before every request, and its last word stands when its sender
    /// is gone. Without it the engine always sends.
    #[must_use]
    pub fn with_leave(mut self, leave: watch::Receiver<bool>) -> Self {
        self.leave = Some(leave);
        self
    }

    /// Shows in this heartbeat that commands are taken in and requests started. Waiting for Coder does not count as
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
                Some(agent) = self.inlet.claims.recv() => self.prepare(agent, Instant::now()),
                done = self.traffic.back() => self.settle(done, Instant::now()),
                () = leave_changed(&mut self.leave) => {}
                () = alarm(wake) => {}
            }
        }
        self.drain(grace).await
    }

    /// Does what is due: timers, then requests. Returns when to do so again.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Instant> {
        while let Some(agent) = self.roster.fired(now) {
            self.timer_fired(agent, now);
        }
        let requests = self.grant(now);
        match (requests, self.roster.next_timer()) {
            (Some(requests), Some(timer)) => Some(requests.min(timer)),
            (requests, timer) => requests.or(timer),
        }
    }

    /// Whether this process is the one that sends.
    pub(super) fn may_send(&self) -> bool {
        self.leave.as_ref().is_none_or(|leave| *leave.borrow())
    }

    fn grant(&mut self, now: Instant) -> Option<Instant> {
        while self.may_send() {
            match self.traffic.next(&self.roster.lanes, now, self.draining, self.roster.waiting()) {
                Next::Go(lane) => self.start(lane, now),
                Next::Wait(until) => return until,
            }
        }
        None
    }

    fn start(&mut self, lane: Lane, now: Instant) {
        let Some((token, agent)) = self.roster.call(lane) else { return };
        let api = Arc::clone(&self.api);
        let trip: Trip = match lane.endpoint() {
            Endpoint::LogSource => {
                agent.in_flight = Some(0);
                Box::pin(async move { (None, api.post_log_source(&token).await) })
            }
            Endpoint::Logs => {
                let Taken { batch, refused } = agent.take((self.clock)());
                agent.in_flight = (!batch.is_empty()).then(|| batch.lines());
                self.books.dropped(refused, Dropped::Budget);
                if batch.is_empty() {
                    self.roster.reseat(token, now, &self.settings);
                    return;
                }
                Box::pin(async move {
                    let result = {
                        let wire = batch.wire();
                        api.send_logs(&token, &wire).await
                    };
                    (Some(batch), result)
                })
            }
        };
        self.roster.reseat(token, now, &self.settings);
        self.traffic.send(token, lane, trip, now);
    }

    pub(super) fn take_in(&mut self, command: Command, now: Instant) {
        match command {
            Command::Prepare { agent } => self.prepare(agent, now),
            Command::Open { agent, workspace } => self.open(agent, workspace, now),
            Command::Line { agent, line } => self.line(agent, line, now),
            Command::Ended { agent } => self.ended(agent, now),
        }
    }

    /// Adds an agent if there is room, with what earlier processes left of its budget.
    fn add(&mut self, token: AgentToken, life: Life, now: Instant) -> bool {
        let added = self.roster.add(token, life, now, &self.settings);
        if added && let Some(agent) = self.roster.get_mut(token) {
            agent.budget = self.books.budget(token);
        }
        added
    }

    fn prepare(&mut self, agent: AgentToken, now: Instant) {
        if self.roster.knows(agent) {
            return;
        }
        if !self.add(agent, Life::Claimed, now) {
            self.books.metrics.claim_ignored();
        }
        self.roster.reseat(agent, now, &self.settings);
    }

    fn open(&mut self, token: AgentToken, workspace: Option<WorkspaceKey>, now: Instant) {
        if !self.roster.knows(token) && !self.add(token, Life::Live, now) {
            if !std::mem::replace(&mut self.said.crowded, true) {
                warn!(agent = %token.fingerprint(), "too many agents, from this one on they get no lines");
            }
            return;
        }
        self.roster.open(token, workspace.clone(), now);
        if let Some(workspace) = workspace {
            self.end_earlier_starts(&workspace, token, now);
            self.tell_earlier_failure(&workspace, token, now);
        }
        self.roster.reseat(token, now, &self.settings);
    }

    /// A token works for the latest build only: what has ended without having worked never will.
    fn end_earlier_starts(&mut self, workspace: &WorkspaceKey, latest: AgentToken, now: Instant) {
        let others = self.roster.of_workspace(workspace).to_vec();
        for other in others.into_iter().filter(|other| *other != latest) {
            let Some(agent) = self.roster.get_mut(other) else { continue };
            match (agent.has_failed(), agent.in_flight) {
                (false, _) => {}
                (true, Some(_)) => agent.followed_by = Some(latest),
                (true, None) => self.give_up(other, now),
            }
        }
    }

    /// The same for one that had a request under way, which has come back now.
    pub(super) fn end_if_followed(&mut self, token: AgentToken, now: Instant) {
        let Some(agent) = self.roster.get_mut(token) else { return };
        let Some(latest) = agent.followed_by.take() else { return };
        let Some(workspace) = agent.workspace.clone() else { return };
        if agent.has_failed() {
            self.give_up(token, now);
            self.tell_earlier_failure(&workspace, latest, now);
            self.roster.reseat(latest, now, &self.settings);
        }
    }

    fn tell_earlier_failure(&mut self, workspace: &WorkspaceKey, latest: AgentToken, now: Instant) {
        let Some(agent) = self.roster.get_mut(latest) else { return };
        if let Some(text) = self.leftovers.tell(workspace, latest, now) {
            agent.outbox.push_note_front(Note::warning((self.clock)(), text));
        }
    }

    fn line(&mut self, token: AgentToken, line: LogLine, now: Instant) {
        self.books.received();
        let held = Held { line, received: now };
        if !self.roster.knows(token) && !self.add(token, Life::Ended, now) {
            self.books.dropped(vec![held], Dropped::TooManyAgents);
            return;
        }
        let Some(agent) = self.roster.get_mut(token) else { return };
        agent.last_line = now;
        let closed = match agent.access {
            Access::Full => Some(Dropped::Full),
            Access::Over => Some(Dropped::Over),
            Access::Fresh | Access::Registered | Access::Waiting => None,
        };
        if let Some(reason) = closed {
            self.books.dropped(vec![held], reason);
        } else {
            let claimed = agent.life == Life::Claimed;
            let gone = agent.outbox.push(held);
            self.books.dropped(gone, Dropped::Overflow);
            if claimed {
                // A line is only made for an agent whose token was seen in an object.
                self.roster.open(token, None, now);
            }
        }
        self.roster.reseat(token, now, &self.settings);
        if self.books.lines() > self.settings.max_lines {
            self.relieve(now);
        }
    }

    /// Too many lines are held over all: the one that holds most loses half.
    fn relieve(&mut self, now: Instant) {
        let most = self.roster.agents().max_by_key(|(_, agent)| agent.outbox.lines()).map(|(token, _)| token);
        let Some(token) = most else { return };
        if let Some(agent) = self.roster.get_mut(token) {
            let gone = agent.outbox.halve();
            self.books.dropped(gone, Dropped::Overflow);
        }
        self.roster.reseat(token, now, &self.settings);
    }

    fn ended(&mut self, token: AgentToken, now: Instant) {
        let Some(agent) = self.roster.get_mut(token) else { return };
        if agent.life == Life::Live {
            agent.life = Life::Ended;
            agent.since = now;
            self.roster.reseat(token, now, &self.settings);
        }
    }

    fn timer_fired(&mut self, token: AgentToken, now: Instant) {
        let Some(agent) = self.roster.get_mut(token) else { return };
        if agent.in_flight.is_none() && agent.end(&self.settings).is_some_and(|at| at <= now) {
            self.give_up(token, now);
        } else {
            self.roster.reseat(token, now, &self.settings);
        }
    }

    /// Gives up what an agent holds, and the agent itself unless it lives.
    pub(super) fn give_up(&mut self, token: AgentToken, now: Instant) {
        let Some(agent) = self.roster.get_mut(token) else { return };
        let (life, worked, never_valid) = (agent.life, agent.worked, agent.never_valid());
        let remains = agent.let_go();
        if !remains.lines.is_empty() {
            debug!(agent = %token.fingerprint(), lines = remains.count, worked, "gave up lines");
        }
        if let (false, Some(workspace)) = (worked, agent.workspace.clone()) {
            self.leftovers.remember(workspace, token, &remains, now);
        }
        let reason = if never_valid { Dropped::NeverValid } else { Dropped::Expired };
        self.books.dropped(remains.lines, reason);
        if life == Life::Live {
            self.roster.reseat(token, now, &self.settings);
        } else {
            self.roster.remove(token);
        }
    }

    pub(super) fn time(&self) -> Timestamp {
        (self.clock)()
    }
}

async fn leave_changed(leave: &mut Option<watch::Receiver<bool>>) {
    let changed = match leave {
        Some(leave) => leave.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending::<()>().await;
    }
}

/// Fires at that time; never without one.
pub(super) async fn alarm(at: Option<Instant>) {
    match at {
        Some(at) => pin!(sleep_until(at)).await,
        None => std::future::pending().await,
    }
}
