//! Liveness of the supervisor's loop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Interval of the supervisor's beats.
pub const BEAT: Duration = Duration::from_secs(1);

/// Time without a beat after which the process counts as stuck. Much longer than [`BEAT`], because a restart would only
/// add to the load of a machine without enough CPU.
const STUCK_AFTER: Duration = Duration::from_secs(20);

/// The time of the supervisor's last beat, read by `/livez`. It depends on nothing outside the process, and counts as
/// alive before the first beat.
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
    /// Records a beat.
    pub fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Fails with a reason after 20 s without a beat.
    pub fn check(&self) -> Result<(), String> {
        let still = self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        if still < STUCK_AFTER {
            Ok(())
        } else {
            Err(format!("the supervisor's loop has been stuck for {} s", still.as_secs()))
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
        assert_eq!(liveness.check(), Err("the supervisor's loop has been stuck for 20 s".to_owned()));
        liveness.beat();
        assert_eq!(liveness.check(), Ok(()));
    }
}
