//! Waits before retries.

use std::time::Duration;

use logstream_runtime::backoff::ceiling;

/// Upper bound of the first wait.
const BASE: Duration = Duration::from_millis(500);
/// Longest wait. Within it, one agent notices for all that Coder is available again.
const CAP: Duration = Duration::from_secs(30);
/// Shortest wait, because full jitter could choose zero.
const FLOOR: Duration = Duration::from_millis(50);

/// The wait after `failures` consecutive failures: exponential backoff with full jitter, so that agents that failed
/// together do not retry together.
pub(crate) fn full_jitter(failures: u8, random: &mut fastrand::Rng) -> Duration {
    ceiling(BASE, CAP, u32::from(failures.saturating_sub(1))).mul_f64(random.f64()).max(FLOOR)
}

/// The given wait with 10 % jitter, to spread steady tries.
pub(crate) fn about(wait: Duration, random: &mut fastrand::Rng) -> Duration {
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
