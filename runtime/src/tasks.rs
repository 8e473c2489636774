//! The supervisor of long-lived tasks.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_util::sync::CancellationToken;

use super::liveness::{BEAT, Liveness};

/// Time after the grace period at which tasks that have not ended are cancelled.
const CUT_OFF_MARGIN: Duration = Duration::from_secs(2);

/// Time for requests in flight of tasks that serve until the very end.
const CLOSING_TIME: Duration = Duration::from_secs(1);

type BoxError = Box<dyn Error + Send + Sync>;

/// Owns all long-lived tasks of the process.
///
/// When any task ends, with success, an error or a panic, the process shuts down: [`Supervisor::token`] is cancelled, the
/// others drain within the grace period, then those that serve health and metrics end.
#[derive(Debug)]
pub struct Supervisor {
    token: CancellationToken,
    closing: CancellationToken,
    grace: Duration,
    liveness: Liveness,
    tasks: JoinSet<Result<(), BoxError>>,
    known: HashMap<Id, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    name: Cow<'static, str>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Drains once the token is cancelled.
    Work,
    /// Continues while the others drain.
    Serve,
}

/// Return types of a task.
pub trait Outcome: Send + 'static {
    /// An error is reported with the task's name.
    fn into_result(self) -> Result<(), BoxError>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError> + Send + 'static> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// The first task that ended unexpectedly.
#[derive(Debug)]
pub struct TaskFailed {
    /// Its name, or several joined by commas for [`Cause::Overdue`].
    pub task: String,
    /// Cause of its end.
    pub cause: Cause,
}

/// Cause of a task's unexpected end.
#[derive(Debug)]
pub enum Cause {
    /// It returned without a request to stop.
    EndedEarly,
    /// It returned an error.
    Error(BoxError),
    /// It panicked. The panic hook has logged the location; the message is omitted because it may contain secrets.
    Panicked,
    /// It was running after the grace period and was cancelled.
    Overdue,
}

impl fmt::Display for TaskFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "task {} ", self.task)?;
        match &self.cause {
            Cause::EndedEarly => formatter.write_str("ended unexpectedly"),
            Cause::Error(error) => write!(formatter, "failed: {error}"),
            Cause::Panicked => formatter.write_str("panicked"),
            Cause::Overdue => formatter.write_str("did not end within the grace period"),
        }
    }
}

impl Error for TaskFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Cause::Error(error) => error.source(),
            _ => None,
        }
    }
}

impl Supervisor {
    /// Creates a supervisor without tasks. `grace` is the time limit of the drain.
    pub fn new(grace: Duration) -> Self {
        Self {
            token: CancellationToken::new(),
            closing: CancellationToken::new(),
            grace,
            liveness: Liveness::default(),
            tasks: JoinSet::new(),
            known: HashMap::new(),
        }
    }

    /// Cancelled when the process shuts down, by a signal or a failed task. Tasks then drain and return.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Cancelled after the drain, so that health and metrics end last.
    pub fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Liveness of the supervisor's loop.
    pub fn liveness(&self) -> Liveness {
        self.liveness.clone()
    }

    /// Spawns a task that runs until [`Supervisor::token`] is cancelled, and ends within the grace period.
    pub fn spawn<F>(&mut self, name: impl Into<Cow<'static, str>>, work: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.start(name.into(), Phase::Work, work);
    }

    /// Spawns a task that runs until [`Supervisor::closing`] is cancelled.
    pub fn spawn_until_closing<F>(&mut self, name: impl Into<Cow<'static, str>>, service: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.start(name.into(), Phase::Serve, service);
    }

    fn start<F>(&mut self, name: Cow<'static, str>, phase: Phase, future: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        let handle = self.tasks.spawn(async move { future.await.into_result() });
        self.known.insert(handle.id(), Known { name, phase });
    }

    /// Returns once all tasks have ended: `Ok` after a requested shutdown, else the first failure. Dropping the future
    /// cancels all tasks.
    pub async fn run_until_done(mut self) -> Result<(), TaskFailed> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failure = None;
        while !self.token.is_cancelled() {
            tokio::select! {
                () = self.token.cancelled() => {}
                _ = beat.tick() => self.liveness.beat(),
                Some(ended) = self.tasks.join_next_with_id() => {
                    let asked = self.token.is_cancelled();
                    failure = self.reap(ended, asked);
                    self.token.cancel();
                }
            }
        }
        let late = self.drain(&mut beat).await;
        self.closing.cancel();
        self.close().await;
        failure.or(late).map_or(Ok(()), Err)
    }

    /// Waits for the drain; cancels overdue tasks.
    async fn drain(&mut self, beat: &mut tokio::time::Interval) -> Option<TaskFailed> {
        let deadline = Instant::now() + self.grace + CUT_OFF_MARGIN;
        let mut failure = None;
        while self.is_working() {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => {
                    let overdue = self.working().collect::<Vec<_>>().join(", ");
                    tracing::warn!(tasks = overdue, "cut off after the grace period");
                    return failure.or(Some(TaskFailed { task: overdue, cause: Cause::Overdue }));
                }
                _ = beat.tick() => self.liveness.beat(),
                Some(ended) = self.tasks.join_next_with_id() => {
                    let failed = self.reap(ended, true);
                    failure = failure.or(failed);
                }
            }
        }
        failure
    }

    /// Waits briefly for serving tasks, then cancels the rest.
    async fn close(&mut self) {
        let deadline = Instant::now() + CLOSING_TIME;
        while self.known.values().any(|known| known.phase == Phase::Serve) {
            let Ok(Some(ended)) = timeout_at(deadline, self.tasks.join_next_with_id()).await else { break };
            self.reap(ended, true);
        }
        self.tasks.abort_all();
    }

    /// Removes an ended task. Returns its failure, if its end was unexpected.
    fn reap(&mut self, ended: Result<(Id, Result<(), BoxError>), JoinError>, asked: bool) -> Option<TaskFailed> {
        let (id, cause) = match ended {
            Ok((id, Ok(()))) => (id, (!asked).then_some(Cause::EndedEarly)),
            Ok((id, Err(error))) => (id, Some(Cause::Error(error))),
            // Only this supervisor can abort a task, and it does so only at its own end.
            Err(error) => (error.id(), error.is_panic().then_some(Cause::Panicked)),
        };
        let name = self.known.remove(&id).map_or(Cow::Borrowed("unknown"), |known| known.name);
        let Some(cause) = cause else {
            tracing::debug!(task = %name, "task ended");
            return None;
        };
        let failed = TaskFailed { task: name.into_owned(), cause };
        tracing::error!(error = %failed, "task failed");
        Some(failed)
    }

    fn working(&self) -> impl Iterator<Item = &str> {
        self.known.values().filter(|known| known.phase == Phase::Work).map(|known| known.name.as_ref())
    }

    fn is_working(&self) -> bool {
        self.working().next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const GRACE: Duration = Duration::from_secs(20);

    /// Spawns a well-behaved task: it runs until the token is cancelled, then records that it drained.
    fn orderly(supervisor: &mut Supervisor) -> Arc<AtomicBool> {
        let drained = Arc::new(AtomicBool::new(false));
        let (token, noted) = (supervisor.token(), Arc::clone(&drained));
        supervisor.spawn("orderly", async move {
            token.cancelled().await;
            tokio::time::sleep(GRACE / 2).await;
            noted.store(true, Ordering::SeqCst);
        });
        drained
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_token_lets_every_task_drain() {
        let mut supervisor = Supervisor::new(GRACE);
        let drained = orderly(&mut supervisor);
        supervisor.token().cancel();
        supervisor.run_until_done().await.unwrap();
        assert!(drained.load(Ordering::SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_ends_the_others_in_order_and_is_reported_with_its_task() {
        let mut supervisor = Supervisor::new(GRACE);
        let drained = orderly(&mut supervisor);
        supervisor.spawn("watch", async { Err::<(), _>(io::Error::other("no route")) });
        let failed = supervisor.run_until_done().await.unwrap_err();
        assert_eq!(failed.to_string(), "task watch failed: no route");
        assert!(drained.load(Ordering::SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unrequested_success_ends_the_process_too() {
        let mut supervisor = Supervisor::new(GRACE);
        let drained = orderly(&mut supervisor);
        supervisor.spawn("deliver", async {});
        let failed = supervisor.run_until_done().await.unwrap_err();
        assert_eq!(failed.to_string(), "task deliver ended unexpectedly");
        assert!(drained.load(Ordering::SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_reported_without_its_message() {
        let mut supervisor = Supervisor::new(GRACE);
        let secret = String::from("a-secret");
        supervisor.spawn("render", async move { assert!(secret.is_empty(), "{secret}") });
        let failed = supervisor.run_until_done().await.unwrap_err();
        assert_eq!(failed.to_string(), "task render panicked");
        assert!(!format!("{failed:?}").contains("a-secret"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_drain_is_cut_off_and_named() {
        let mut supervisor = Supervisor::new(GRACE);
        supervisor.spawn("stuck", std::future::pending::<()>());
        supervisor.token().cancel();
        let started = Instant::now();
        let failed = supervisor.run_until_done().await.unwrap_err();
        assert_eq!(failed.to_string(), "task stuck did not end within the grace period");
        assert_eq!(started.elapsed(), GRACE + CUT_OFF_MARGIN);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_while_draining_is_reported() {
        let mut supervisor = Supervisor::new(GRACE);
        let token = supervisor.token();
        supervisor.spawn("deliver", async move {
            token.cancelled().await;
            Err::<(), _>("3 lines were left")
        });
        supervisor.token().cancel();
        let failed = supervisor.run_until_done().await.unwrap_err();
        assert_eq!(failed.to_string(), "task deliver failed: 3 lines were left");
    }

    #[tokio::test(start_paused = true)]
    async fn servers_end_only_after_the_work_has_drained() {
        let mut supervisor = Supervisor::new(GRACE);
        let drained = orderly(&mut supervisor);
        let (closing, seen) = (supervisor.closing(), Arc::clone(&drained));
        supervisor.spawn_until_closing("health", async move {
            closing.cancelled().await;
            assert!(seen.load(Ordering::SeqCst));
        });
        supervisor.token().cancel();
        supervisor.run_until_done().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_heart_beats_while_it_runs_and_while_it_drains() {
        let mut supervisor = Supervisor::new(Duration::from_mins(2));
        let (token, liveness) = (supervisor.token(), supervisor.liveness());
        supervisor.spawn("slow", async move {
            for _ in 0..2 {
                tokio::time::sleep(Duration::from_mins(1)).await;
                liveness.check()?;
                token.cancel();
            }
            Ok::<_, String>(())
        });
        supervisor.run_until_done().await.unwrap();
    }
}
