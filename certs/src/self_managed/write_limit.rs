//! Rate limit for writes to the Secret and the webhook configuration.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Burst size. A rotation with some conflicts needs fewer writes.
const AT_ONCE: u32 = 20;
/// Refill interval.
const EACH: Duration = Duration::from_secs(1);

/// A token bucket. It bounds the load if another controller keeps reverting the caBundle.
pub(super) struct WriteLimit {
    left: u32,
    refilled: Instant,
}

impl WriteLimit {
    pub(super) fn new() -> Self {
        Self { left: AT_ONCE, refilled: Instant::now() }
    }

    /// Consumes one token.
    pub(super) fn take(&mut self) {
        self.refill();
        self.left = self.left.saturating_sub(1);
    }

    /// Waits until a token is available. Cancel safe.
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
        let mut write_limit = WriteLimit::new();
        let start = Instant::now();
        for _ in 0..AT_ONCE + 5 {
            write_limit.wait().await;
            write_limit.take();
        }
        assert_eq!(start.elapsed(), EACH * 5);
        advance(EACH * 100).await;
        let start = Instant::now();
        for _ in 0..AT_ONCE {
            write_limit.wait().await;
            write_limit.take();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
