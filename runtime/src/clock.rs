//! The wall clock, which tests can replace.

use jiff::Timestamp;

/// The wall clock.
///
/// For times that are shown, stored or compared with those of Kubernetes and Coder; timeouts use tokio's clock. A closure
/// `Fn() -> Timestamp` is a clock too.
pub trait Clock: Send + Sync {
    /// The current time. It may go backwards, because the machine's clock can be set.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place the time comes from")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_clock_is_past_the_year_this_was_written_in() {
        assert!(SystemClock.now() > "2026-01-01T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_function_is_a_clock() {
        fn clock() -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
        assert_eq!(Clock::now(&clock), Timestamp::UNIX_EPOCH);
    }
}
