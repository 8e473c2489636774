//! Where the telling begins, then the watch.

use std::{sync::Arc, time::Duration};

use logstream_core::correlate::{History, Observation};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    progress::{Progress, Saved, Store, StoreError},
    runtime::{Backoff, Check, Clock},
    watch::{self, Lookups, References, Scopes, Selectors, SyncStates, Watch},
};

/// What the correlator waits for.
pub(super) struct Begun {
    pub(super) history: History,
    pub(super) lookups: Lookups,
    pub(super) references: References,
}

/// A part of the watch ended although nothing had asked it to.
#[derive(Debug, thiserror::Error)]
#[error("a part of the watch ended")]
pub(super) struct Ended;

pub(super) struct Watching {
    pub(super) client: kube::Client,
    pub(super) scopes: Arc<Scopes>,
    pub(super) selectors: Selectors,
    pub(super) store: Option<Store>,
    pub(super) progress: Arc<Progress>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: watch::Metrics,
}

impl Watching {
    /// Watches until `shutdown`. While the API server is away it waits for it, at the beginning too.
    pub(super) async fn run(
        self,
        observations: mpsc::Sender<Observation>,
        begin: oneshot::Sender<Begun>,
        check: Check,
        shutdown: CancellationToken,
    ) -> Result<(), Ended> {
        check.not_ready("the API server was not reached yet");
        let Some((baseline, history)) = shutdown.run_until_cancelled(self.baseline()).await else { return Ok(()) };
        self.progress.start(&history, baseline.revisions.clone());
        let setup = watch::Setup {
            client: self.client,
            scopes: self.scopes,
            selectors: self.selectors,
            baseline,
            metrics: self.metrics,
        };
        let Watch { lookups, references, states, tasks } = Watch::new(setup, observations, &shutdown);
        if begin.send(Begun { history, lookups, references }).is_err() {
            return Err(Ended);
        }
        let mut running = JoinSet::new();
        for task in tasks {
            running.spawn(task.work);
        }
        let supervised = async {
            let ended = running.join_next().await;
            if !shutdown.is_cancelled() {
                tracing::error!(?ended, "a part of the watch ended");
                return Err(Ended);
            }
            while running.join_next().await.is_some() {}
            Ok(())
        };
        tokio::select! {
            ended = supervised => ended,
            () = tell(states, check) => Err(Ended),
        }
    }

    /// What an earlier process left, or now.
    async fn baseline(&self) -> (watch::Baseline, History) {
        let saved = self.load().await;
        let of_watch = saved.as_ref().map(|saved| saved.for_watch(&self.scopes)).unwrap_or_default();
        let baseline = watch::probe(&self.client, &self.scopes, of_watch, self.clock.now()).await;
        let history = match &saved {
            Some(saved) => saved.history(),
            None => History { since: baseline.since, told_until: baseline.since, ..History::default() },
        };
        tracing::info!(resumed = saved.is_some(), since = %history.since, "telling what happens from here on");
        (baseline, history)
    }

    async fn load(&self) -> Option<Saved> {
        let store = self.store.as_ref()?;
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        let mut told = false;
        loop {
            match store.load().await {
                Ok(saved) => return saved,
                Err(error @ StoreError::Malformed { .. }) => {
                    tracing::warn!(%error, "progress is not known, telling begins now");
                    return None;
                }
                Err(error) if error.is_forbidden() => {
                    tracing::warn!(%error, "progress cannot be read, a restart may lose lines");
                    return None;
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "waiting for the API server");
                    }
                }
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }
}

/// Lets readiness say how the watch is until everything was listed once. Later trouble is for the log and the metrics:
/// were it readiness's too, a moment without the API server would take the webhook out of its Service for longer.
async fn tell(states: SyncStates, check: Check) {
    let mut changes = states.subscribe();
    loop {
        if states.all_listed() {
            check.ready();
        } else {
            check.not_ready(states.problems().join("; "));
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
