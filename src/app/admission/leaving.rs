//! How the webhook ends: later than the rest begins to.

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

/// How long the webhook is answered after the signal. The signal and the removal of the endpoint begin at the same
/// moment and know nothing of each other: the `EndpointSlice` is written within a second, kube-proxy follows at most
/// once a second, and takes some seconds more where there are thousands of Services.
const LINGER: Duration = Duration::from_secs(5);

/// Answers take microseconds; one that is under way has this much at least.
const SHORTEST_DRAIN: Duration = Duration::from_secs(1);

/// How long the webhook goes on after the signal, of this grace period.
pub(in crate::app) fn linger(grace: Duration) -> Duration {
    LINGER.min(grace / 2)
}

/// The limits of a server that has so long to end: half of it at most goes by with waiting for callers to leave.
pub(super) fn limits(grace: Duration) -> Limits {
    let limits = Limits::default();
    let linger = linger(grace);
    let drain = grace.saturating_sub(linger).clamp(SHORTEST_DRAIN, limits.drain);
    Limits { linger, drain, ..limits }
}

/// Hands claims on, and counts those that come after the end has begun: nobody here follows them any more. What they
/// are about is found by the watch of the next process, as it is younger than what this one has told.
pub(super) struct Counting {
    registrar: Arc<dyn Registrar>,
    ending: CancellationToken,
    late: AtomicU64,
}

impl Counting {
    pub(super) fn new(registrar: Arc<dyn Registrar>, ending: CancellationToken) -> Self {
        Self { registrar, ending, late: AtomicU64::new(0) }
    }

    /// Says how many came late, if any did.
    pub(super) fn tell(&self) {
        let admissions = self.late.load(Ordering::Relaxed);
        if admissions > 0 {
            tracing::info!(admissions, "admitted during the shutdown, the next process finds these by its watch");
        }
    }
}

impl Registrar for Counting {
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
