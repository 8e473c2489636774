//! Shutdown of the webhook.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use logstream_core::registration::Registration;
use logstream_runtime::server::Limits;
use logstream_webhook::Registrar;
use tokio_util::sync::CancellationToken;

/// Time for which the webhook keeps answering after SIGTERM. The signal and the removal of the endpoint are not
/// synchronized: the `EndpointSlice` is written within a second, kube-proxy follows at most once a second, and takes
/// some seconds more in clusters with thousands of Services.
const LINGER: Duration = Duration::from_secs(5);

/// Minimum time for requests in flight. Answers take microseconds.
const SHORTEST_DRAIN: Duration = Duration::from_secs(1);

/// Time for which the webhook keeps answering after the signal: [`LINGER`], or half of a short grace period.
pub(in crate::app) fn linger(grace: Duration) -> Duration {
    LINGER.min(grace / 2)
}

/// The server's limits for this grace period.
pub(super) fn limits(grace: Duration) -> Limits {
    let limits = Limits::default();
    let linger = linger(grace);
    let drain = grace.saturating_sub(linger).clamp(SHORTEST_DRAIN, limits.drain);
    Limits { linger, drain, ..limits }
}

/// A registrar that counts registrations during the shutdown. Their pods are newer than the checkpoint, so the watch of
/// the next process finds them.
pub(super) struct LateRegistrations {
    registrar: Arc<dyn Registrar>,
    ending: CancellationToken,
    late: AtomicU64,
}

impl LateRegistrations {
    pub(super) fn new(registrar: Arc<dyn Registrar>, ending: CancellationToken) -> Self {
        Self { registrar, ending, late: AtomicU64::new(0) }
    }

    /// Logs the number of late registrations, if there are any.
    pub(super) fn log(&self) {
        let admissions = self.late.load(Ordering::Relaxed);
        if admissions > 0 {
            tracing::info!(admissions, "admitted during the shutdown, the next process finds these by its watch");
        }
    }
}

impl Registrar for LateRegistrations {
    fn register(&self, registration: Registration) {
        if self.ending.is_cancelled() {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        self.registrar.register(registration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_and_draining_fit_into_the_grace_period() {
        for (grace, linger, drain) in [(90, 5, 10), (20, 5, 10), (12, 5, 7), (8, 4, 4), (2, 1, 1), (0, 0, 1)] {
            let limits = limits(Duration::from_secs(grace));
            assert_eq!((limits.linger.as_secs(), limits.drain.as_secs()), (linger, drain), "{grace}");
        }
    }
}
