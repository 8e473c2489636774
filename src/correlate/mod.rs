//! The task around the pure correlator: feeds it observations, and executes its effects.

mod metrics;
mod postponed;
mod reason;
mod start;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use logstream_core::{
    correlate::{Correlator, Counted, Effect, Object, Observation},
    extract::TokenSource,
    fact_id::ScopeId,
    finding::FindingKind,
    identity::{Subject, Uid},
    line::LogLine,
    render::{LogStyle, render},
    token::AgentToken,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

pub use self::metrics::Metrics;
use self::postponed::Postponed;
use crate::{
    checkpoint::Ledger,
    config::LineFilter,
    deliver::{AckSink, Command, Outlet},
    registry::Registry,
    runtime::{Clock, Heartbeat},
    watch::{Lookups, References},
};

/// Interval at which waiting Events age. It delays only lines about objects that no watch has shown.
const TICK: Duration = Duration::from_secs(1);

/// Executes the effects of the correlator, which it owns without a lock.
pub struct Correlation {
    /// The state machine.
    pub correlator: Correlator,
    /// The registry, which also knows the tokens of live agents.
    pub registry: Arc<Registry>,
    /// Selects the lines that are delivered.
    pub filter: LineFilter,
    /// Style of the lines.
    pub style: LogStyle,
    /// Channel to delivery.
    pub outlet: Outlet,
    /// Facts whose lines are not delivered yet.
    pub ledger: Arc<Ledger>,
    /// Lookups of objects.
    pub lookups: Lookups,
    /// Reads of Secrets and ConfigMaps.
    pub references: References,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Busy while a fact is processed.
    pub heartbeat: Heartbeat,
    /// Counters and gauges.
    pub metrics: Metrics,
    /// Requests that found no free slot.
    pub postponed: Requests,
}

/// Lookups and token searches that wait for a free slot.
#[derive(Debug, Default)]
pub struct Requests {
    lookups: Postponed<Subject>,
    confirmations: Postponed<Subject>,
    references: Postponed<(Subject, TokenSource)>,
}

impl Correlation {
    /// Runs until the input closes or `shutdown` is cancelled, then handles the observations received so far.
    ///
    /// Waits only while delivery's channel is full, which slows down the watch alone.
    pub async fn run(mut self, mut observations: mpsc::Receiver<Observation>, shutdown: CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                observation = observations.recv() => match observation {
                    Some(observation) => self.observe(observation).await,
                    None => break,
                },
                _ = ticks.tick() => self.tick().await,
            }
        }
        observations.close();
        while let Some(observation) = observations.recv().await {
            self.observe(observation).await;
        }
    }

    async fn observe(&mut self, observation: Observation) {
        let _busy = self.heartbeat.busy();
        let position = Position::of(&observation);
        match &observation {
            Observation::Started { scope, from } => self.ledger.started(*scope, (**from).clone()),
            Observation::Relisting(scope) => self.ledger.listing(*scope),
            _ => {}
        }
        let effects = self.correlator.observe(self.clock.now(), observation);
        self.carry_out_all(effects).await;
        match position {
            Position::Fact(scope, revision, created) => {
                if let Some((uid, at)) = created {
                    self.ledger.created(uid, at);
                }
                self.ledger.reached(scope, revision, self.clock.now());
            }
            Position::Synced(scope) => self.ledger.synced(scope, self.clock.now()),
            Position::None => {}
        }
    }

    async fn tick(&mut self) {
        let _busy = self.heartbeat.busy();
        self.postponed.lookups.retry(|subject| self.lookups.ask(subject));
        self.postponed.confirmations.retry(|subject| self.lookups.confirm(subject));
        self.postponed.references.retry(|(subject, source)| self.references.ask(subject, source));
        let effects = self.correlator.tick(self.clock.now());
        self.carry_out_all(effects).await;
    }

    async fn carry_out_all(&mut self, effects: Vec<Effect>) {
        // All at once: this task may be stopped at any await, and by then each observed fact must have its outcome.
        for effect in &effects {
            if let Effect::Count(counted) = effect {
                self.metrics.count(*counted);
            }
        }
        self.show_sizes();
        for effect in effects {
            self.carry_out(effect).await;
        }
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Finding(finding) => {
                let line = render(&finding, self.style, |token| self.registry.knows(token));
                if self.filter.delivers(line.level, reason::reason(&finding.kind)) {
                    self.metrics.rendered(&line);
                    tracing::debug!(
                        subject = %finding.subject,
                        agents = ?finding.agents,
                        level = line.level.as_str(),
                        "line rendered"
                    );
                    for &agent in finding.agents.iter() {
                        self.line(Command::Line { agent, line: line.clone() }, &line).await;
                    }
                } else {
                    self.metrics.filtered();
                }
                // After its lines are tracked: a checkpoint saved in between would lose them.
                if finding.kind == FindingKind::Created {
                    self.ledger.announced(&finding.subject, finding.at);
                }
            }
            Effect::Open { agent, workspace } => {
                self.set_live(agent, true);
                self.send(Command::Open { agent, workspace }).await;
            }
            Effect::Claimed(agent) => self.send(Command::Claimed { agent }).await,
            Effect::Ended(agent) => {
                self.set_live(agent, false);
                self.send(Command::Ended { agent }).await;
            }
            Effect::Known { scope, subject, facts } => self.ledger.known(scope, subject, facts),
            Effect::LookUp(subject) => {
                if !self.postponed.lookups.request(subject, |subject| self.lookups.ask(subject)) {
                    self.metrics.count(Counted::Unasked);
                }
            }
            Effect::CheckPresence(subject) => {
                // The correlator repeats a check that is dropped.
                if !self.postponed.confirmations.request(subject, |subject| self.lookups.confirm(subject)) {
                    self.metrics.count(Counted::Unasked);
                }
            }
            Effect::Resolve { subject, source } => {
                let ask = |(subject, source)| self.references.ask(subject, source);
                if !self.postponed.references.request((subject, source), ask) {
                    self.metrics.count(Counted::Unasked);
                }
            }
            Effect::Forget(uid) => {
                self.postponed.references.retain(|(subject, _)| subject.uid != uid);
                self.references.forget(uid);
            }
            Effect::Hold(fact_id) => self.ledger.track(fact_id),
            Effect::Ack(fact_id) => self.ledger.ack(fact_id),
            // Already counted.
            Effect::Count(_) => {}
            Effect::StartFailed { start, cause } => {
                self.metrics.failed(cause);
                start::failed(&start, cause);
            }
            Effect::Started { start, after } => {
                self.metrics.started(start.duration);
                start::recovered(&start, &after);
            }
        }
    }

    fn show_sizes(&self) {
        let correlator = &self.correlator;
        self.metrics.sizes([correlator.tracked(), correlator.carriers(), correlator.waiting()]);
    }

    fn set_live(&self, agent: AgentToken, live: bool) {
        self.registry.set_live(agent, live);
        self.ledger.set_live(&agent, live);
    }

    async fn line(&self, command: Command, line: &LogLine) {
        if let Some(fact_id) = line.fact_id {
            self.ledger.track(fact_id);
        }
        self.send(command).await;
    }

    async fn send(&self, command: Command) {
        // Delivery ends after this task. If it has ended before, the supervisor is already ending the process.
        if self.outlet.send(command).await.is_err() {
            tracing::error!("delivery has ended, a line is lost");
        }
    }
}

/// Position of an observation in its scope's history.
enum Position {
    /// Scope, resourceVersion, and the object with its creation time.
    Fact(ScopeId, u64, Option<(Uid, Timestamp)>),
    Synced(ScopeId),
    None,
}

impl Position {
    fn of(observation: &Observation) -> Self {
        let (scope, meta) = match observation {
            Observation::Seen { scope, object, .. } | Observation::Gone { scope, object } => match object {
                Object::Pod(pod) => (*scope, &pod.metadata),
                Object::Workload(_, workload) => (*scope, &workload.metadata),
            },
            Observation::Event { scope, event } => (*scope, &event.metadata),
            Observation::Synced(scope) => return Self::Synced(*scope),
            Observation::Started { .. }
            | Observation::Relisting(_)
            | Observation::LookedUp { .. }
            | Observation::PresenceChecked { .. }
            | Observation::Resolved { .. } => return Self::None,
        };
        let is_event = matches!(observation, Observation::Event { .. });
        let created = meta.uid.zip(meta.creation_timestamp).filter(|_| !is_event);
        meta.revision().map_or(Self::None, |revision| Self::Fact(scope, revision, created))
    }
}
