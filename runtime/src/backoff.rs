//! Exponential backoff with full jitter.

use std::time::Duration;

/// Exponential backoff with full jitter: each pause is random between zero and a ceiling that doubles with each try.
///
/// Full jitter spreads clients that failed together. Some pauses are close to zero; the caller adds a minimum where a
/// server asks for one, such as Retry-After.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    tries: u32,
    random: fastrand::Rng,
}

impl Backoff {
    /// Creates a backoff with ceilings from `base`, doubling up to `cap`. Each instance has its own random sequence.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, tries: 0, random: fastrand::Rng::new() }
    }

    /// The same with a repeatable random sequence.
    #[cfg(test)]
    #[must_use]
    fn with_seed(self, seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), ..self }
    }

    /// The pause before the next try.
    pub fn pause(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.tries = self.tries.saturating_add(1);
        ceiling.mul_f64(self.random.f64())
    }

    /// The ceiling of the next pause.
    pub fn ceiling(&self) -> Duration {
        ceiling(self.base, self.cap, self.tries)
    }

    /// Number of pauses since the last success.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Records a success: the next pause is short again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

/// The ceiling of the pause after `tries` earlier ones, for callers that keep the count themselves.
pub fn ceiling(base: Duration, cap: Duration, tries: u32) -> Duration {
    base.saturating_mul(2_u32.saturating_pow(tries)).min(cap)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(30);

    proptest! {
        #[test]
        fn no_pause_exceeds_its_ceiling_or_the_cap(seed: u64, tries in 1..200_u32) {
            let mut backoff = Backoff::new(BASE, CAP).with_seed(seed);
            for _ in 0..tries {
                let ceiling = backoff.ceiling();
                prop_assert!(ceiling <= CAP);
                prop_assert!(backoff.pause() <= ceiling);
            }
        }
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_cap_and_starts_over_after_a_success() {
        let mut backoff = Backoff::new(BASE, CAP);
        let ceilings: Vec<_> = (0..10)
            .map(|_| {
                let ceiling = backoff.ceiling().as_millis();
                backoff.pause();
                ceiling
            })
            .collect();
        assert_eq!(ceilings, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000]);
        assert_eq!(backoff.tries(), 10);
        backoff.reset();
        assert_eq!(backoff.ceiling(), BASE);
    }

    #[test]
    fn pauses_fill_the_interval() {
        let mut backoff = Backoff::new(CAP, CAP).with_seed(1);
        let mut quarters = [0_u32; 4];
        for _ in 0..4_000 {
            let quarter = backoff.pause().as_millis() * 4 / CAP.as_millis();
            quarters[usize::try_from(quarter).unwrap()] += 1;
        }
        assert!(quarters.iter().all(|&count| (900..1_100).contains(&count)), "{quarters:?}");
    }

    #[test]
    fn two_backoffs_are_not_in_step() {
        let (mut one, mut other) = (Backoff::new(BASE, CAP), Backoff::new(BASE, CAP));
        let sequence = |backoff: &mut Backoff| (0..4).map(|_| backoff.pause()).collect::<Vec<_>>();
        assert_ne!(sequence(&mut one), sequence(&mut other));
    }
}
