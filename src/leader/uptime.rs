//! The clock of the election.

use std::{fmt, sync::Arc, time::Duration};

/// Time since an arbitrary moment. It never goes back, and goes on while the process or its machine is suspended: a
/// process that wakes up must notice that its permission is over.
///
/// A virtual machine whose hypervisor stops its clocks too cannot notice that.
#[derive(Clone)]
pub struct Uptime(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Uptime {
    /// The machine's time since it was started.
    pub fn of_machine() -> Self {
        Self(Arc::new(machine))
    }

    /// A clock that shows what `now` returns.
    pub fn from_fn(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl fmt::Debug for Uptime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Uptime({:?})", self.now())
    }
}

#[cfg(target_os = "linux")]
fn machine() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    // Unlike CLOCK_MONOTONIC it counts the time that the machine was suspended.
    let time = clock_gettime(ClockId::Boottime);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanoseconds)
}

#[cfg(not(target_os = "linux"))]
fn machine() -> Duration {
    use std::{sync::OnceLock, time::Instant};

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_uptime_grows() {
        let uptime = Uptime::of_machine();
        let first = uptime.now();
        assert!(first > Duration::ZERO && uptime.now() >= first);
    }
}
