//! The durations of the election.

use std::time::Duration;

/// Durations of a Lease. The proportions are those of Kubernetes' own components: 15, 10 and
/// 2 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A Lease that was not renewed for this long may be taken by another replica.
    pub lease: Duration,
    /// The holder stops sending this long after the last request that renewed the Lease was sent.
    pub renew_deadline: Duration,
    /// Interval of renewals, and of further attempts after a failure.
    pub retry: Duration,
}

impl Timing {
    /// The default for the duration of a Lease.
    pub const DEFAULT_LEASE: Duration = Duration::from_secs(15);

    /// The durations that belong to a Lease of this duration.
    pub fn of_lease(lease: Duration) -> Self {
        Self { lease, renew_deadline: lease * 2 / 3, retry: lease * 2 / 15 }
    }

    /// Time limit of one request: two attempts fit before the deadline.
    pub fn request(&self) -> Duration {
        self.renew_deadline / 3
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::of_lease(Self::DEFAULT_LEASE)
    }
}
