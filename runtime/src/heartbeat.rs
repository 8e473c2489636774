//! Detects a task that is stuck in one piece of work.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Check;

/// Duration of one piece of work after which readiness fails. Normally it takes microseconds, so this is long even
/// without enough CPU.
const UNREADY_AFTER: Duration = Duration::from_secs(30);

/// Duration of one piece of work after which liveness fails. It is long because a restart loses what is only in memory.
const DEAD_AFTER: Duration = Duration::from_mins(5);

/// Interval at which readiness is updated.
const PERIOD: Duration = Duration::from_secs(1);

/// Records when a task started its current piece of work. Clones share the record.
///
/// A task that waits for input is idle, not stuck, however long it waits.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    task: &'static str,
    busy_since: Arc<Mutex<Option<Instant>>>,
}

impl Heartbeat {
    /// Creates the heartbeat of a task. It starts idle.
    pub fn new(task: &'static str) -> Self {
        Self { task, busy_since: Arc::default() }
    }

    /// Name of the task.
    pub fn task(&self) -> &'static str {
        self.task
    }

    /// Marks the task as busy with one piece of work until the guard is dropped.
    pub fn busy(&self) -> Busy {
        self.set(Some(Instant::now()));
        Busy { heartbeat: self.clone() }
    }

    /// Duration of the current piece of work so far; zero while idle.
    pub fn busy_for(&self) -> Duration {
        let since = *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Fails with a reason once one piece of work has taken 5 minutes: only a restart helps.
    pub fn check_alive(&self) -> Result<(), String> {
        self.within(DEAD_AFTER)
    }

    fn within(&self, limit: Duration) -> Result<(), String> {
        let busy = self.busy_for();
        if busy < limit { Ok(()) } else { Err(format!("{} has been stuck for {} s", self.task, busy.as_secs())) }
    }

    fn set(&self, since: Option<Instant>) {
        *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// Marks a task as busy until it is dropped.
#[derive(Debug)]
#[must_use = "the task is busy only while this is held"]
pub struct Busy {
    heartbeat: Heartbeat,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.heartbeat.set(None);
    }
}

/// Fails `check` while one of the tasks has been stuck for 30 s, until `shutdown`.
pub async fn watch(heartbeats: Vec<Heartbeat>, check: Check, shutdown: CancellationToken) {
    let watching = async {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match heartbeats.iter().try_for_each(|heartbeat| heartbeat.within(UNREADY_AFTER)) {
                Ok(()) => check.ready(),
                Err(reason) => check.not_ready(reason),
            }
        }
    };
    let _: Option<()> = shutdown.run_until_cancelled(watching).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Readiness;

    #[tokio::test(start_paused = true)]
    async fn an_idle_task_is_never_stuck() {
        let heartbeat = Heartbeat::new("correlate");
        drop(heartbeat.busy());
        tokio::time::advance(DEAD_AFTER).await;
        assert_eq!(heartbeat.busy_for(), Duration::ZERO);
        assert_eq!(heartbeat.check_alive(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_task_is_dead_after_minutes_and_alive_once_it_moves() {
        let heartbeat = Heartbeat::new("correlate");
        let busy = heartbeat.busy();
        tokio::time::advance(UNREADY_AFTER).await;
        assert_eq!(heartbeat.check_alive(), Ok(()));
        tokio::time::advance(DEAD_AFTER.saturating_sub(UNREADY_AFTER)).await;
        assert_eq!(heartbeat.check_alive(), Err("correlate has been stuck for 300 s".to_owned()));
        drop(busy);
        assert_eq!(heartbeat.check_alive(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_fails_while_a_task_is_stuck() {
        let (readiness, shutdown) = (Readiness::new(), CancellationToken::new());
        let (moving, stuck) = (Heartbeat::new("deliver"), Heartbeat::new("correlate"));
        let watching = watch(vec![moving, stuck.clone()], readiness.check("pipeline"), shutdown.clone());
        let playing = async {
            let becomes = async |ready: bool| {
                while readiness.snapshot().is_ready() != ready {
                    tokio::time::advance(PERIOD).await;
                    tokio::task::yield_now().await;
                }
            };
            becomes(true).await;
            let busy = stuck.busy();
            becomes(false).await;
            assert!(stuck.busy_for() >= UNREADY_AFTER);
            drop(busy);
            becomes(true).await;
            shutdown.cancel();
        };
        tokio::join!(watching, playing);
    }
}
