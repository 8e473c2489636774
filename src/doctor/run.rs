//! Runs checks in order.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    check::{Check, Problem, Verdict},
    context::Context,
    report::{Outcome, Report, Status},
};

/// Maximum duration of one attempt of a check. Some send many requests, each with a deadline of its own.
const LIMIT: Duration = Duration::from_mins(2);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs checks one after the other, so that none disturbs the measurements of another.
pub(super) struct Runner {
    /// Time until which checks that may become true by themselves are repeated.
    deadline: Instant,
    report: Report,
    /// The fatal check that failed.
    failed: Option<&'static Check>,
}

/// The deadline after this time from now.
pub(super) fn until(wait: Duration) -> Instant {
    Instant::now() + wait
}

impl Runner {
    pub(super) fn new(deadline: Instant) -> Self {
        Self { deadline, report: Report::default(), failed: None }
    }

    /// Runs a check and adds its outcome to the report.
    pub(super) async fn run(&mut self, check: &'static Check, context: &Context) -> &Outcome {
        let started = Instant::now();
        let verdict = match self.failed {
            Some(fatal) => Err(Problem::skipped(format!("the check {} did not pass", fatal.id))),
            None => attempts(check, context, self.deadline).await,
        };
        let outcome = Outcome::new(check, verdict, started.elapsed());
        if check.fatal && outcome.status == Status::Failed {
            self.failed = Some(check);
        }
        self.report.add(outcome)
    }

    pub(super) fn report(self) -> Report {
        self.report
    }
}

async fn attempts(check: &Check, context: &Context, deadline: Instant) -> Verdict {
    loop {
        let verdict = attempt(check, context).await;
        let is_final = matches!(verdict, Ok(_) | Err(Problem::Skipped(_)));
        if is_final || !check.retry || Instant::now() + PAUSE > deadline {
            return verdict;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn attempt(check: &Check, context: &Context) -> Verdict {
    let late = || Problem::unmet(format!("no result within {} s", LIMIT.as_secs()), "run doctor again");
    tokio::time::timeout(LIMIT, (check.run)(context)).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use futures::FutureExt;

    use super::*;
    use crate::doctor::{
        check::{Group, Severity},
        testing::context,
    };

    const PASSES: Check = Check {
        id: "passes",
        group: Group::Kubernetes,
        description: "",
        expected: "",
        severity: Severity::Failure,
        fatal: false,
        retry: false,
        run: |_| async { Ok("fine".to_owned()) }.boxed(),
    };
    const FAILS: Check =
        Check { id: "fails", run: |_| async { Err(Problem::unmet("broken", "repair it")) }.boxed(), ..PASSES };

    async fn statuses(checks: &'static [Check], wait: Duration) -> (Vec<Status>, u8) {
        let mut runner = Runner::new(until(wait));
        let context = context();
        for check in checks {
            runner.run(check, &context).await;
        }
        let report = runner.report();
        (report.outcomes.iter().map(|outcome| outcome.status).collect(), report.exit_code())
    }

    #[tokio::test(start_paused = true)]
    async fn only_failures_count_for_the_exit_code() {
        static WARN: [Check; 3] = [
            Check { severity: Severity::Warning, ..FAILS },
            Check { run: |_| async { Err(Problem::doubtful("odd", "look")) }.boxed(), ..PASSES },
            Check { run: |_| async { Err(Problem::skipped("no right")) }.boxed(), ..PASSES },
        ];
        static FAIL: [Check; 2] = [FAILS, PASSES];
        let wanted = vec![Status::Warning, Status::Warning, Status::Skipped];
        assert_eq!(statuses(&WARN, Duration::ZERO).await, (wanted, 0));
        assert_eq!(statuses(&FAIL, Duration::ZERO).await, (vec![Status::Failed, Status::Passed], 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_fatal_failure_skips_the_rest() {
        static ALL: [Check; 2] = [Check { fatal: true, ..FAILS }, PASSES];
        assert_eq!(statuses(&ALL, Duration::ZERO).await, (vec![Status::Failed, Status::Skipped], 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_may_still_pass_is_repeated_until_the_deadline() {
        static ATTEMPTS: AtomicU8 = AtomicU8::new(0);
        static ALL: [Check; 1] = [Check {
            retry: true,
            run: |_| {
                let attempt = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
                let verdict = if attempt < 5 { Err(Problem::unmet("not yet", "wait")) } else { Ok(String::new()) };
                async { verdict }.boxed()
            },
            ..PASSES
        }];
        assert_eq!(statuses(&ALL, Duration::from_secs(1)).await.0, [Status::Failed]);
        assert_eq!(statuses(&ALL, Duration::from_secs(10)).await.0, [Status::Passed]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_fails() {
        static ALL: [Check; 1] = [Check { run: |_| std::future::pending().boxed(), ..PASSES }];
        assert_eq!(statuses(&ALL, Duration::ZERO).await.0, [Status::Failed]);
    }
}
