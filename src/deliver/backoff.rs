//! The wait before a repetition.

use std::time::Duration;

/// The first wait, at most.
const BASE: Duration = Duration::from_millis(500);
/// The longest wait: a Coder that is back is found within this, and by one agent for all.
const CAP: Duration = Duration::from_secs(30);
/// The shortest wait: full jitter could draw none at all.
const FLOOR: Duration = Duration::from_millis(50);

/// The wait before the try that follows `failures` failed ones: any time up to a bound that doubles each time (full
/// jitter), so that many agents that failed together do not return together.
pub(super) fn full_jitter(failures: u8, random: &mut fastrand::Rng) -> Duration {
    let bound = BASE.saturating_mul(2_u32.saturating_pow(u32::from(failures.saturating_sub(1)))).min(CAP);
    bound.mul_f64(random.f64()).max(FLOOR)
}

/// About this long: between nine and eleven tenths of it, so that steady tries spread.
pub(super) fn about(wait: Duration, random: &mut fastrand::Rng) -> Duration {
    wait.mul_f64(0.9 + 0.2 * random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_spread_over_all_below() {
        let mut random = fastrand::Rng::with_seed(7);
        for (failures, bound) in [(1, 500), (2, 1_000), (4, 4_000), (7, 30_000), (255, 30_000)] {
            let waits: Vec<_> = (0..1_000).map(|_| full_jitter(failures, &mut random)).collect();
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            let bound = Duration::from_millis(bound);
            assert!(*most <= bound && *most > bound.mul_f64(0.95), "{failures}: {most:?}");
            assert!(*least >= FLOOR && *least < bound.mul_f64(0.2), "{failures}: {least:?}");
        }
    }
}
