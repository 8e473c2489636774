//! The durations of the election.

use std::time::Duration;

/// Durations of a Lease, in the proportions of Kubernetes' own components (15, 10 and 2 seconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Time without a renewal after which another replica may take the Lease.
    pub lease: Duration,
    /// Time after the last request that renewed the Lease, at which the holder stops sending.
    pub renew_deadline: Duration,
    /// Interval of renewals, and of further attempts after a failure.
    pub retry: Duration,
}

impl Timing {
    /// Default duration of a Lease. Shorter than that of Kubernetes' components: until it is over, owners of starting
    /// workspaces see nothing, and a needless change of the leader loses and repeats nothing. Longer than the few
    /// seconds that an API server takes to restart or to elect etcd's leader.
    pub const DEFAULT_LEASE: Duration = Duration::from_secs(10);

    /// The durations for a Lease of this duration.
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
