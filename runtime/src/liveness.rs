//! Whether the supervisor's loop still turns.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often the supervisor's loop beats.
pub const BEAT: Duration = Duration::from_secs(1);

/// Without a beat for this long the process counts as stuck. Long beside [`BEAT`], because a machine that is short of
/// CPU is slow and not stuck, and a restart would only add to its load.
const STUCK_AFTER: Duration = Duration::from_secs(20);

/// A heart beat: written by the supervisor's loop, read by `/livez`. It depends on nothing outside the process.
///
/// A new one counts as alive, so that a probe that comes before the loop turns does no harm.
#[derive(Clone, Debug)]
pub struct Liveness {
    last: Arc<Mutex<Instant>>,
}

impl Default for Liveness {
    fn default() -> Self {
        Self { last: Arc::new(Mutex::new(Instant::now())) }
    }
}

impl Liveness {
    /// The loop has turned.
    pub fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Fails with a reason once the loop has stood still for 20 s.
    pub fn check(&self) -> Result<(), String> {
        let still = self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        if still < STUCK_AFTER {
            Ok(())
        } else {
            Err(format!("the supervisor has not turned for {} s", still.as_secs()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_stuck_after_a_while_without_a_beat_and_alive_again_with_one() {
        let liveness = Liveness::default();
        tokio::time::advance(STUCK_AFTER.saturating_sub(BEAT)).await;
        assert_eq!(liveness.check(), Ok(()));
        tokio::time::advance(BEAT).await;
        assert_eq!(liveness.check(), Err("the supervisor has not turned for 20 s".to_owned()));
        liveness.beat();
        assert_eq!(liveness.check(), Ok(()));
    }
}
