//! How long to pause before the next try.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Exponential backoff with full jitter: the n-th pause is drawn evenly from nothing up to `base * 2^n`, at most `cap`.
///
/// Full jitter spreads callers that failed together over the whole interval; a fixed part would keep them in step.
/// Some pauses are therefore close to zero. Whoever must never be faster than a server's Retry-After adds that.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    tries: u32,
    random: SplitMix,
}

impl Backoff {
    /// A backoff that has not failed yet. Each one draws from its own sequence.
    pub fn new(base: Duration, cap: Duration) -> Self {
        // The standard library seeds each RandomState differently: enough to part callers, and no more is wanted.
        Self::seeded(base, cap, RandomState::new().hash_one(0_u8))
    }

    /// Like [`Backoff::new`], with a sequence that repeats: for tests.
    pub fn seeded(base: Duration, cap: Duration, seed: u64) -> Self {
        Self { base, cap, tries: 0, random: SplitMix(seed) }
    }

    /// The pause before the next try; the one after it may be longer.
    pub fn pause(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.tries = self.tries.saturating_add(1);
        ceiling.mul_f64(self.random.unit())
    }

    /// The longest that the next pause can be.
    pub fn ceiling(&self) -> Duration {
        let factor = 2_u32.checked_pow(self.tries).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// How many pauses were asked for since the last success.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// A success: the next pause is short again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

/// The generator of Steele, Lea and Flood (SplitMix64): eight bytes of state, and good enough to spread retries.
#[derive(Clone, Debug)]
struct SplitMix(u64);

impl SplitMix {
    /// Evenly from [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // The upper 32 bits fit an f64 exactly.
        let upper = u32::try_from(mixed >> 32).unwrap_or(u32::MAX);
        f64::from(upper) / (f64::from(u32::MAX) + 1.0)
    }
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
            let mut backoff = Backoff::seeded(BASE, CAP, seed);
            for _ in 0..tries {
                let ceiling = backoff.ceiling();
                prop_assert!(ceiling <= CAP);
                prop_assert!(backoff.pause() <= ceiling);
            }
        }
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_cap_and_starts_over_after_a_success() {
        let mut backoff = Backoff::seeded(BASE, CAP, 7);
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
        let mut backoff = Backoff::seeded(CAP, CAP, 1);
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
