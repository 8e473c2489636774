//! The task around the pure correlator: observations in, its effects carried out.

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

/// How often waiting Events age. No line waits for it but those whose subject no watch has shown.
const TICK: Duration = Duration::from_secs(1);

/// Carries out what the correlator wants done. Owns it: there is no lock around what was told.
pub struct Correlation {
    /// The state machine.
    pub correlator: Correlator<Arc<Registry>>,
    /// Selects the lines that are delivered.
    pub filter: LineFilter,
    /// Their looks.
    pub style: LogStyle,
    /// Where lines go.
    pub outlet: Outlet,
    /// What is told and not delivered.
    pub ledger: Arc<Ledger>,
    /// Where objects are looked up.
    pub lookups: Lookups,
    /// Where references are read.
    pub references: References,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Shows that facts are being processed.
    pub heartbeat: Heartbeat,
    /// What is counted.
    pub metrics: Metrics,
    /// What found no room there.
    pub postponed: Requests,
}

/// Lookups and references to be asked for again.
#[derive(Debug, Default)]
pub struct Requests {
    lookups: Postponed<Subject>,
    confirmations: Postponed<Subject>,
    references: Postponed<(Subject, TokenSource)>,
}

impl Correlation {
    /// Runs until the input closes or `shutdown` is cancelled; then what has come in by then is handled still.
    ///
    /// Waits only where delivery has no room for another line, which holds the watch back and nothing else.
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
        // All at once: this task may be stopped where it waits, and each observed fact must have its outcome then.
        for effect in &effects {
            if let Effect::Count(counted) = effect {
                self.metrics.count(*counted);
            }
        }
        self.metrics.sizes(self.correlator.tracked(), self.correlator.waiting());
        for effect in effects {
            self.carry_out(effect).await;
        }
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Finding(finding) => {
                let registry = self.correlator.index();
                let line = render(&finding, self.style, |token| registry.knows(token));
                if self.filter.delivers(line.level, reason::reason(&finding.kind)) {
                    self.metrics.rendered(&line);
                    tracing::debug!(
                        subject = %finding.subject,
                        agents = ?finding.agents,
                        level = line.level.as_str(),
                        "told"
                    );
                    for &agent in finding.agents.iter() {
                        self.line(Command::Line { agent, line: line.clone() }, &line).await;
                    }
                } else {
                    self.metrics.filtered();
                }
                // Not before its lines have begun: a checkpoint of that moment would lose them.
                if finding.kind == FindingKind::Created {
                    self.ledger.announced(&finding.subject, finding.at);
                }
            }
            Effect::Open { agent, workspace } => {
                self.ledger.set_live(&agent, true);
                self.send(Command::Open { agent, workspace }).await;
            }
            Effect::Ended(agent) => {
                self.ledger.set_live(&agent, false);
                self.send(Command::Ended { agent }).await;
            }
            Effect::Known { scope, subject, facts } => self.ledger.known(scope, subject, facts),
            Effect::LookUp(subject) => {
                if !self.postponed.lookups.request(subject, |subject| self.lookups.ask(subject)) {
                    self.metrics.count(Counted::Unasked);
                }
            }
            Effect::CheckPresence(subject) => {
                // The correlator asks again for what is let go.
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
            // Counted before.
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

    async fn line(&self, command: Command, line: &LogLine) {
        if let Some(fact_id) = line.fact_id {
            self.ledger.track(fact_id);
        }
        self.send(command).await;
    }

    async fn send(&self, command: Command) {
        // Delivery ends after this task does; were it gone, the supervisor would already be ending the process.
        if self.outlet.send(command).await.is_err() {
            tracing::error!("delivery has ended, a line is lost");
        }
    }
}

/// Where an observation stands in its scope's history.
enum Position {
    /// With its object and when that was created.
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
