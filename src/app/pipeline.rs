//! From the watch to delivery, for each term in which this replica leads.
//!
//! A term starts from the saved checkpoint, like a restarted process. When another replica has taken the Lease, the
//! term is dropped with everything it held: that replica continues from the same checkpoint.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use logstream_core::{
    correlate::{Correlator, Limits},
    render::LogStyle,
    token::AgentToken,
};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::watch_task::WatchTask;
use crate::{
    checkpoint::{self, Ledger},
    coder::CoderClient,
    config::LineFilter,
    correlate::{self, Correlation},
    deliver::{self, Engine, Outlet},
    leader::{Leadership, Role},
    registry::Registry,
    runtime::{Check, Clock, Heartbeat},
    watch::{self, Scopes, Selectors, Setup, Watch},
};

/// Maximum number of facts waiting for the correlator, which takes microseconds for each.
const OBSERVATIONS: usize = 256;
/// Without a checkpoint a term starts at the start of the process, and no further back than an election takes.
const LONGEST_ELECTION: Duration = Duration::from_mins(2);

/// The outlet to the delivery of the current term, if this replica leads.
#[derive(Debug, Clone, Default)]
pub(super) struct CurrentOutlet(Arc<ArcSwapOption<Outlet>>);

impl CurrentOutlet {
    /// Registers an agent's log source ahead, if this replica delivers.
    pub(super) fn prepare(&self, agent: AgentToken) {
        if let Some(outlet) = &*self.0.load() {
            outlet.prepare(agent);
        }
    }
}

/// A task of the pipeline ended before the shutdown.
#[derive(Debug, thiserror::Error)]
#[error("{0} ended unexpectedly")]
pub(super) struct PartEnded(String);

/// Dependencies of each term.
pub(super) struct Pipeline {
    pub(super) client: kube::Client,
    pub(super) coder: CoderClient,
    pub(super) scopes: Arc<Scopes>,
    pub(super) selectors: Selectors,
    /// Store of the checkpoint; `None` keeps it in memory only.
    pub(super) store: Option<Arc<checkpoint::Store>>,
    pub(super) registry: Arc<Registry>,
    pub(super) outlet: CurrentOutlet,
    pub(super) leadership: Leadership,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) has_webhook: bool,
    /// True if workloads count only once the watch has shown a pod of theirs.
    pub(super) confirms_workloads: bool,
    /// Selects the lines that are delivered.
    pub(super) filter: LineFilter,
    pub(super) style: LogStyle,
    /// Time for delivery at the end.
    pub(super) grace: Duration,
    /// The start of the process.
    pub(super) started: Instant,
    pub(super) correlating: Heartbeat,
    pub(super) delivering: Heartbeat,
    pub(super) checkpoint: checkpoint::Metrics,
    pub(super) watch: watch::Metrics,
    pub(super) correlate: correlate::Metrics,
    pub(super) deliver: deliver::Metrics,
}

/// The tasks of one term, each with its name.
type Tasks = JoinSet<(&'static str, Result<(), PartEnded>)>;

impl Pipeline {
    /// Runs a term whenever this replica leads, until `stop`. `_done` is released at the end: nothing is sent after it.
    pub(super) async fn run(
        mut self,
        check: Check,
        stop: CancellationToken,
        _done: DropGuard,
    ) -> Result<(), PartEnded> {
        let check = Arc::new(check);
        let mut was_ready = false;
        if self.store.is_none() {
            tracing::warn!("no ConfigMap for the checkpoint, a restart may lose lines");
        }
        loop {
            let Some(term) = stop.run_until_cancelled(self.standby(&check, &mut was_ready)).await else {
                return Ok(());
            };
            let mut tasks = self.start(&check, was_ready, &stop);
            tokio::select! {
                ended = until_ended(&mut tasks, &stop) => return ended,
                () = self.leadership.ended(term) => {}
            }
            tracing::warn!("another replica holds the Lease, this one no longer delivers");
            self.outlet.0.store(None);
            tasks.shutdown().await;
            self.reset();
            // Its readiness no longer depends on a list.
            was_ready = true;
            check.ready();
        }
    }

    /// Waits until this replica leads. A follower is ready: its webhook answers, and it can take over.
    async fn standby(&mut self, check: &Check, was_ready: &mut bool) -> u64 {
        loop {
            match self.leadership.role() {
                Role::Leader(term) => return term,
                Role::Follower if !std::mem::replace(was_ready, true) => {
                    tracing::info!("another replica delivers, standing by");
                    check.ready();
                }
                Role::Candidate if !*was_ready => check.not_ready("no replica leads yet"),
                Role::Follower | Role::Candidate => {}
            }
            self.leadership.changed().await;
        }
    }

    /// Starts the tasks of a term. They end in stages: the watch, the correlator, delivery, the checkpoint.
    fn start(&self, check: &Arc<Check>, was_ready: bool, stop: &CancellationToken) -> Tasks {
        let ledger = Ledger::new(self.scopes.clone());
        let clock = self.clock.clone();
        let (outlet, engine) = deliver::channel(
            self.coder.clone(),
            deliver::Settings::default(),
            move || clock.now(),
            ledger.clone(),
            self.deliver.clone(),
        );
        let engine = engine.with_heartbeat(self.delivering.clone()).with_leadership(self.leadership.clone());
        self.outlet.0.store(Some(Arc::new(outlet.clone())));
        let (observations, observed) = mpsc::channel(OBSERVATIONS);
        let watch = Watch::new(self.setup(), observations, stop);
        let correlation = Correlation {
            correlator: self.correlator(),
            registry: self.registry.clone(),
            filter: self.filter.clone(),
            style: self.style,
            outlet,
            ledger: ledger.clone(),
            lookups: watch.lookups,
            references: watch.references,
            clock: self.clock.clone(),
            heartbeat: self.correlating.clone(),
            metrics: self.correlate.clone(),
            postponed: correlate::Requests::default(),
        };
        let watching = WatchTask {
            scopes: self.scopes.clone(),
            prepared: watch.prepared,
            states: watch.states,
            store: self.store.clone(),
            ledger: ledger.clone(),
            was_ready,
        };

        let mut tasks = Tasks::new();
        let (check, until) = (check.clone(), stop.clone());
        tasks.spawn(async move {
            let ended = watching.run(check, until).await;
            ("watch", ended.map_err(|ended| PartEnded(ended.to_string())))
        });
        let (correlated, delivered) = (CancellationToken::new(), CancellationToken::new());
        let (until, guard) = (stop.clone(), correlated.clone().drop_guard());
        tasks.spawn(async move {
            correlation.run(observed, until).await;
            drop(guard);
            ("correlate", Ok(()))
        });
        let (grace, guard) = (self.grace, delivered.clone().drop_guard());
        tasks.spawn(async move {
            deliver_until(correlated, engine, grace).await;
            drop(guard);
            ("deliver", Ok(()))
        });
        if let Some(store) = self.store.clone() {
            let keeper = checkpoint::Keeper::new(store, self.leadership.clone(), self.checkpoint.clone());
            let clock = self.clock.clone();
            tasks.spawn(async move {
                keeper.keep(ledger, clock, delivered).await;
                ("checkpoint", Ok(()))
            });
        }
        tasks
    }

    fn setup(&self) -> Setup {
        let now = Instant::now();
        let age = now.duration_since(self.started).min(LONGEST_ELECTION);
        let since = jiff::SignedDuration::try_from(age).unwrap_or_default();
        let time = self.clock.now();
        Setup {
            client: self.client.clone(),
            scopes: self.scopes.clone(),
            selectors: self.selectors.clone(),
            time: time.checked_sub(since).unwrap_or(time),
            started: now.checked_sub(age).unwrap_or(now),
            metrics: self.watch.clone(),
        }
    }

    fn correlator(&self) -> Correlator {
        let correlator = Correlator::new(self.registry.clone(), Limits::default(), self.has_webhook);
        if self.confirms_workloads { correlator.confirming_workloads() } else { correlator }
    }

    /// Resets shared state and metrics after a term.
    fn reset(&self) {
        self.registry.forget_live();
        self.checkpoint.reset();
        self.watch.reset();
        self.correlate.reset();
        self.deliver.reset();
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pipeline").finish_non_exhaustive()
    }
}

/// Waits for the end of all tasks. One that ends before `stop` is an error.
async fn until_ended(tasks: &mut Tasks, stop: &CancellationToken) -> Result<(), PartEnded> {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok((name, Ok(()))) if !stop.is_cancelled() => return Err(PartEnded(name.to_owned())),
            Ok((_, ended)) => ended?,
            // The panic hook has logged the location.
            Err(_) => return Err(PartEnded("a task of the pipeline panicked and".to_owned())),
        }
    }
    Ok(())
}

/// Delivers until `correlated`, then drains within `grace`.
async fn deliver_until(correlated: CancellationToken, engine: Engine<CoderClient>, grace: Duration) {
    let report = engine.run(correlated, grace).await;
    tracing::info!(%report, "delivery ended");
}
