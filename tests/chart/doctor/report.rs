//! Runs of `doctor` and their reports.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use logstream_testing::poll;
use serde_json::Value;
use tokio::process::Command;

use crate::context::{PATIENCE, PROGRAM, TestContext};

/// Output of a run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// The JSON report of a run, by check.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) code: Option<i32>,
    checks: BTreeMap<String, Value>,
}

/// Runs `doctor` with these arguments and variables only.
pub(super) async fn run(kubeconfig: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Run> {
    let mut command = Command::new(PROGRAM);
    command.arg("doctor").arg("--kubeconfig").arg(kubeconfig).args(arguments).env_clear().kill_on_drop(true);
    let output = command.envs(environment.iter().copied()).output().await?;
    Ok(Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// Runs `doctor` and reads its JSON report.
pub(super) async fn report(kubeconfig: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Report> {
    let arguments = [&["--wait=0s", "--output=json"], arguments].concat();
    let Run { code, stdout, stderr } = run(kubeconfig, &arguments, environment).await?;
    let report: Value =
        serde_json::from_str(&stdout).with_context(|| format!("exit code {code:?}: {stdout}{stderr}"))?;
    let checks = report["checks"].as_array().context("a report has checks")?.iter();
    let checks = checks.map(|check| (check["id"].as_str().unwrap_or_default().to_owned(), check.clone())).collect();
    Ok(Report { code, checks })
}

impl Report {
    /// Status of a check.
    pub(super) fn status(&self, id: &str) -> &str {
        self.checks.get(id).and_then(|check| check["status"].as_str()).unwrap_or("missing")
    }

    /// Finding of a check.
    pub(super) fn found(&self, id: &str) -> &str {
        self.checks.get(id).and_then(|check| check["found"].as_str()).unwrap_or_default()
    }

    /// Asserts status and finding of a check.
    pub(super) fn shows(&self, id: &str, status: &str, found: &str) -> Result<()> {
        let is = (self.status(id), self.found(id));
        ensure!(is.0 == status && is.1.contains(found), "{id} should be {status} with {found:?}, but is {is:?}");
        Ok(())
    }

    /// Checks with one of these statuses, with their findings.
    pub(super) fn with_status(&self, statuses: &[&str]) -> Vec<String> {
        let has = |check: &&Value| check["status"].as_str().is_some_and(|status| statuses.contains(&status));
        let shown = |check: &Value| format!("{}: {}", check["id"], check["found"]);
        self.checks.values().filter(has).map(shown).collect()
    }
}

impl TestContext {
    /// A report about the release.
    pub(super) async fn doctor(&self) -> Result<Report> {
        let arguments = ["--namespace", self.home.name(), "--release", self.release.name()];
        report(self.cluster.as_ref().kubeconfig(), &arguments, &[]).await
    }

    /// A report for the settings of a process, given as flags of the program.
    pub(super) async fn doctor_with(&self, flags: &[&str]) -> Result<Report> {
        report(self.cluster.as_ref().kubeconfig(), &[&["--"], flags].concat(), &[]).await
    }

    /// Waits until a check has this status and finding: the API server takes a moment for each change.
    pub(super) async fn doctor_shows(&self, id: &str, status: &str, found: &str) -> Result<Report> {
        poll::eventually(&format!("{id} is {status}"), PATIENCE, || async {
            let report = self.doctor().await.map_err(|error| format!("{error:#}"))?;
            report.shows(id, status, found).map_err(|error| error.to_string())?;
            Ok::<_, String>(report)
        })
        .await
    }

    /// Runs kubectl in the release's namespace.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.cluster.kubectl(&[arguments, &["--namespace", self.home.name()]].concat())
    }

    /// Patches the webhook configuration by JSON patch operations, each `OP PATH VALUE`.
    pub(super) fn patch_webhooks(&self, operations: &Value) -> Result<()> {
        let name = self.release.cluster_name();
        let patch = operations.to_string();
        self.cluster
            .kubectl(&["patch", "mutatingwebhookconfiguration", &name, "--type=json", "--patch", &patch])
            .map(drop)
    }
}
