//! How often something may be done.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// More than a rotation needs, with some conflicts.
const AT_ONCE: u32 = 20;
/// One more after each.
const EACH: Duration = Duration::from_secs(1);

/// Bounds what a quarrel can cost: a controller that resets what this program repairs, each time and at once.
pub(super) struct Allowance {
    left: u32,
    refilled: Instant,
}

impl Allowance {
    pub(super) fn new() -> Self {
        Self { left: AT_ONCE, refilled: Instant::now() }
    }

    /// Uses one.
    pub(super) fn take(&mut self) {
        self.refill();
        self.left = self.left.saturating_sub(1);
    }

    /// Waits until there is one. Cancel safe.
    pub(super) async fn wait(&mut self) {
        self.refill();
        if self.left == 0 {
            sleep_until(self.refilled + EACH).await;
            self.refill();
        }
    }

    fn refill(&mut self) {
        let now = Instant::now();
        while self.left < AT_ONCE && self.refilled + EACH <= now {
            self.left += 1;
            self.refilled += EACH;
        }
        if self.left == AT_ONCE {
            self.refilled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_burst_there_is_one_a_second() {
        let mut allowance = Allowance::new();
        let start = Instant::now();
        for _ in 0..AT_ONCE + 5 {
            allowance.wait().await;
            allowance.take();
        }
        assert_eq!(start.elapsed(), EACH * 5);
        advance(EACH * 100).await;
        let start = Instant::now();
        for _ in 0..AT_ONCE {
            allowance.wait().await;
            allowance.take();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
