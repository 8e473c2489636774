//! How long to wait before the next try.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Exponential backoff with full jitter: each wait is anywhere between nothing and a ceiling that doubles.
///
/// It starts over only when it is told that the thing itself worked.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
    tries: u32,
}

impl Backoff {
    /// Ceilings from `first`, doubling up to `most`.
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, tries: 0 }
    }

    /// For what the API server refuses or does not answer: 0.5 s to 30 s. An API server that comes back meets its
    /// clients spread over the wait.
    pub(super) fn of_requests() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(30))
    }

    /// The next wait.
    pub(super) fn wait(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.tries = self.tries.saturating_add(1);
        ceiling.mul_f64(unit())
    }

    /// The most that the next wait may be.
    pub(super) fn ceiling(&self) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(self.tries)).min(self.most)
    }

    /// How many waits were asked for since it last worked.
    pub(super) fn tries(&self) -> u32 {
        self.tries
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.tries = 0;
    }
}

/// A random number between 0 and 1, from the randomness that every hash map starts with.
fn unit() -> f64 {
    let bits = u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or_default();
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_the_most_and_start_over_when_it_worked() {
        let mut backoff = Backoff::of_requests();
        let mut ceilings = Vec::new();
        for _ in 0..9 {
            ceilings.push(backoff.ceiling().as_millis());
            let ceiling = backoff.ceiling();
            assert!(backoff.wait() <= ceiling);
        }
        assert_eq!(ceilings, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        backoff.reset();
        assert_eq!(backoff.ceiling().as_millis(), 500);
    }

    #[test]
    fn waits_are_spread() {
        let mut backoff = Backoff::new(Duration::from_secs(30), Duration::from_secs(30));
        let waits: std::collections::HashSet<_> = (0..20).map(|_| backoff.wait()).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
