//! The task that takes and keeps the Lease.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Leadership, Role, Timing, Uptime,
    candidate::{Candidate, Step},
    leadership::Grantor,
    lease::Lease,
    metrics::Metrics,
    store::{Claim, Store, StoreError},
};
use crate::runtime::{Check, Clock, LogOnce};

/// Pause before a watch that breaks is started again.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// Takes part in the election.
pub struct Elector {
    identity: String,
    timing: Timing,
    uptime: Uptime,
    clock: Arc<dyn Clock>,
    candidate: Candidate,
    grantor: Grantor,
    metrics: Metrics,
    watch: Option<BoxStream<'static, Result<Option<Lease>, StoreError>>>,
    /// The failure of the last request.
    failure: LogOnce<String>,
}

impl Elector {
    /// An elector and the permission that it grants. `identity` must be unique among processes that may run at the
    /// same time; a later process of the same identity takes the Lease over at once.
    pub fn new(
        identity: String,
        timing: Timing,
        uptime: Uptime,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> (Self, Leadership) {
        let (grantor, leadership) = Leadership::new(uptime.clone());
        let candidate = Candidate::new(identity.clone(), timing);
        let elector = Self {
            identity,
            timing,
            uptime,
            clock,
            candidate,
            grantor,
            metrics,
            watch: None,
            failure: LogOnce::default(),
        };
        (elector, leadership)
    }

    /// Takes part until `done`, then releases the Lease if this replica holds it. After `shutdown` a replica that does
    /// not hold the Lease no longer takes it. `check` passes once the Lease was read.
    pub async fn run(mut self, store: Store, check: Check, shutdown: CancellationToken, done: CancellationToken) {
        check.not_ready("the Lease was not read yet");
        while !done.is_cancelled() {
            if shutdown.is_cancelled() && self.candidate.term().is_none() {
                break;
            }
            tokio::select! {
                () = done.cancelled() => break,
                () = shutdown.cancelled(), if !shutdown.is_cancelled() => {}
                () = self.advance(&store, &check) => {}
            }
            self.publish();
        }
        self.release(&store).await;
        done.cancelled().await;
    }

    /// One step of the election. When it is cancelled, a request may have taken effect unseen.
    async fn advance(&mut self, store: &Store, check: &Check) {
        let now = self.uptime.now();
        let step = self.candidate.step(now);
        if !matches!(step, Step::Wait(_)) {
            // If this is cancelled, the answer is lost.
            self.candidate.doubt();
        }
        let result = match step {
            Step::Wait(until) => return self.wait(store, until.saturating_sub(now)).await,
            Step::Read => store.get().await.map(|lease| self.candidate.saw(lease, self.uptime.now())),
            Step::Create => store.create().await.map(|lease| self.candidate.saw(Some(lease), self.uptime.now())),
            Step::Take { from, is_transition } => self.take(store, &from, is_transition, now).await,
        };
        match result {
            Ok(()) => {
                if self.failure.end() {
                    tracing::info!("Lease is reachable again");
                }
                check.ready();
            }
            Err(StoreError::Conflict { .. }) => self.candidate.doubt(),
            Err(error) => {
                self.failed(&error, check);
                sleep(self.timing.retry).await;
            }
        }
    }

    async fn take(
        &mut self,
        store: &Store,
        from: &Lease,
        is_transition: bool,
        sent: Duration,
    ) -> Result<(), StoreError> {
        self.watch = None;
        let claim = Claim { holder: &self.identity, duration: self.timing.lease, is_transition, now: self.clock.now() };
        let lease = store.take(from, claim).await?;
        if is_transition {
            self.metrics.transitions.inc();
        }
        self.candidate.took(lease, sent);
        Ok(())
    }

    /// Waits until the Lease changes, up to this time. The holder does not watch it: each renewal shows a change.
    async fn wait(&mut self, store: &Store, time: Duration) {
        if self.candidate.term().is_some() {
            return sleep(time).await;
        }
        let change = timeout(time, self.change(store)).await;
        match change {
            Ok(Some(lease)) => self.candidate.saw(lease, self.uptime.now()),
            Ok(None) => self.candidate.doubt(),
            Err(_) => {}
        }
    }

    /// The next change of the Lease; `None` if it has to be read instead.
    async fn change(&mut self, store: &Store) -> Option<Option<Lease>> {
        if self.watch.is_none() {
            let Some(lease) = self.candidate.lease() else {
                sleep(self.timing.retry).await;
                return None;
            };
            match store.watch(lease).await {
                Ok(changes) => self.watch = Some(changes.boxed()),
                Err(error) => {
                    tracing::debug!(%error, "Lease cannot be watched");
                    sleep(self.timing.retry).await;
                    return None;
                }
            }
        }
        if let Some(Ok(change)) = self.watch.as_mut()?.next().await {
            return Some(change);
        }
        self.watch = None;
        sleep(WATCH_PAUSE.min(self.timing.retry)).await;
        None
    }

    fn failed(&mut self, error: &StoreError, check: &Check) {
        self.metrics.failures.inc();
        let text = error.to_string();
        if self.failure.is_new(text.clone()) {
            tracing::warn!(%error, "cannot read or renew the Lease");
        }
        // A short outage of the API server does not remove replicas from the Service; see the readiness of the watch.
        if self.candidate.lease().is_none() {
            check.not_ready(text);
        }
    }

    /// Publishes changes of the role and the permission.
    fn publish(&self) {
        let role = match self.candidate.term() {
            Some(term) => Role::Leader(term),
            None if self.candidate.follows() => Role::Follower,
            None => Role::Candidate,
        };
        self.grantor.set(role, self.candidate.until());
    }

    /// Ends the own term, if there is one, and removes this replica from the Lease.
    async fn release(&mut self, store: &Store) {
        self.candidate.resign();
        self.publish();
        let mut result = Ok(());
        if self.candidate.is_in_doubt() {
            result = store.get().await.map(|lease| self.candidate.saw(lease, self.uptime.now()));
        }
        let Some(lease) = self.candidate.own() else { return };
        let now = self.clock.now();
        match result.and(store.release(lease, now).await) {
            Ok(_) => tracing::info!("Lease released"),
            Err(error) => tracing::warn!(%error, "cannot release the Lease, the next leader waits until it expires"),
        }
    }
}
