//! Results of the checks.

use std::time::Duration;

use super::check::{Check, Finding, Problem, Severity, Verdict};

/// Results in the order of the checks.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// One for each check.
    pub(super) outcomes: Vec<Outcome>,
}

/// The result of one check.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The check.
    pub(super) check: &'static Check,
    /// The result.
    pub(super) status: Status,
    /// The state that was found, or the reason why it was skipped.
    pub(super) found: String,
    /// Remedy, if it did not pass.
    pub(super) action: Option<String>,
    /// Time it took.
    pub(super) took: Duration,
}

/// The kind of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// As expected.
    Passed,
    /// Not as expected, but the program works.
    Warning,
    /// Not as expected.
    Failed,
    /// Not verified.
    Skipped,
}

impl Status {
    /// Its name in JSON.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl Outcome {
    /// The result of a check.
    pub(super) fn new(check: &'static Check, verdict: Verdict, took: Duration) -> Self {
        let unmet = |finding: Finding, status| (status, finding.found, Some(finding.action));
        let (status, found, action) = match verdict {
            Ok(found) => (Status::Passed, found, None),
            Err(Problem::Skipped(reason)) => (Status::Skipped, reason, None),
            Err(Problem::Doubtful(finding)) => unmet(finding, Status::Warning),
            Err(Problem::Unmet(finding)) => match check.severity {
                Severity::Failure => unmet(finding, Status::Failed),
                Severity::Warning => unmet(finding, Status::Warning),
            },
        };
        Self { check, status, found, action, took }
    }
}

impl Report {
    /// Adds a result and returns it.
    pub(super) fn add(&mut self, outcome: Outcome) -> &Outcome {
        self.outcomes.push(outcome);
        &self.outcomes[self.outcomes.len() - 1]
    }

    /// Number of results of a kind.
    pub(super) fn count(&self, status: Status) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.status == status).count()
    }

    /// 1 if a check failed, otherwise 0. Warnings and skipped checks do not count.
    pub(super) fn exit_code(&self) -> u8 {
        u8::from(self.count(Status::Failed) > 0)
    }
}
