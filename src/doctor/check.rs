//! Checks as data.

use futures::future::BoxFuture;

use super::Context;

/// A statement about an installation that can be verified.
#[derive(Debug)]
pub(super) struct Check {
    /// Unique name in kebab case, stable across releases.
    pub(super) id: &'static str,
    /// The group it is shown in.
    pub(super) group: Group,
    /// The statement, true if the check passes.
    pub(super) description: &'static str,
    /// The state in which it passes, in more detail than the description.
    pub(super) expected: &'static str,
    /// Severity if it does not pass.
    pub(super) severity: Severity,
    /// All later checks are skipped unless it passes.
    pub(super) fatal: bool,
    /// The state may become true without anyone's action, as after an installation. It is repeated until it passes or
    /// the time to wait is over.
    pub(super) retry: bool,
    /// Verifies it.
    pub(super) run: for<'a> fn(&'a Context) -> BoxFuture<'a, Verdict>,
}

/// Groups of checks. Each has a section of docs/doctor.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// The API server.
    Kubernetes,
    /// Permissions of the program.
    Permissions,
    /// The Deployment and what it keeps in the cluster.
    Program,
    /// The admission webhook.
    Webhook,
    /// Network between the API server and the program.
    Network,
    /// Coder.
    Coder,
    /// The workspaces that exist now.
    Workspaces,
}

impl Group {
    /// The heading.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Kubernetes => "Kubernetes API",
            Self::Permissions => "Permissions",
            Self::Program => "Program",
            Self::Webhook => "Webhook",
            Self::Network => "Network",
            Self::Coder => "Coder",
            Self::Workspaces => "Workspaces",
        }
    }

    /// The section of the documentation.
    pub(super) fn docs(self) -> String {
        format!("docs/doctor.md#{}", self.title().to_lowercase().replace(' ', "-"))
    }
}

/// Severity of a check that does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// The program does not do its work. The exit code is 1.
    Failure,
    /// The program works, but not as well as it could, or not for long. The exit code is not affected.
    Warning,
}

/// The finding of a check that passes, or its [`Problem`].
pub(super) type Verdict = Result<String, Problem>;

/// Reason why a check does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It counts as the check's severity.
    Unmet(Finding),
    /// It counts as a warning, whatever the check's severity.
    Doubtful(Finding),
    /// It cannot be verified, or there is nothing to verify: the reason.
    Skipped(String),
}

/// Description of a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The state.
    pub(super) found: String,
    /// Remedy.
    pub(super) action: String,
}

impl Problem {
    /// It counts as the check's severity.
    pub(super) fn unmet(found: impl Into<String>, action: impl Into<String>) -> Self {
        Self::Unmet(Finding { found: found.into(), action: action.into() })
    }

    /// It counts as a warning.
    pub(super) fn doubtful(found: impl Into<String>, action: impl Into<String>) -> Self {
        Self::Doubtful(Finding { found: found.into(), action: action.into() })
    }

    /// It cannot be verified.
    pub(super) fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped(reason.into())
    }
}
