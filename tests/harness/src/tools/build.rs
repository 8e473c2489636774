//! Building missing tools with Go, one after another.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::estimate::Estimate;
use super::{Progress, Tool, ToolsError, cache, module};
use crate::{poll, reaper};

/// Maximum time for one tool, far above any measured build; it ends a stuck module download.
const BUILD_TIMEOUT: Duration = Duration::from_hours(1);

/// Number of bytes shown from the end of a failed build's output.
const SHOWN_OUTPUT: usize = 4_000;

/// Builds tools in `staging` and moves each into the cache.
pub(super) fn build(
    tools: &[Tool],
    cache: &Path,
    staging: &Path,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<BTreeMap<Tool, PathBuf>, ToolsError> {
    check_go(tools)?;
    let estimate = Estimate::of(tools);
    let started = Instant::now();
    progress(&Progress::Begin { tools, estimate: &estimate });
    let mut built = BTreeMap::new();
    for (index, &tool) in tools.iter().enumerate() {
        let mut report = |again| {
            let elapsed = started.elapsed();
            let (number, count, left) = (index + 1, tools.len(), estimate.left(&tools[..index], elapsed));
            progress(&Progress::Building { tool, number, count, elapsed, left, again });
        };
        install(tool, staging, &mut report)?;
        let path = cache::path(cache, tool);
        fs::rename(staging.join(tool.name()), &path)
            .map_err(|source| ToolsError::Cache { path: path.clone(), source })?;
        built.insert(tool, path);
    }
    Ok(built)
}

/// Runs one `go install`.
fn install(tool: Tool, into: &Path, report: &mut dyn FnMut(bool)) -> Result<(), ToolsError> {
    report(false);
    let log = into.join("log");
    let fail = |source| ToolsError::Cache { path: log.clone(), source };
    let output = File::create(&log).map_err(fail)?;
    let mut child = Command::new("go")
        .args(["install", "-ldflags"])
        // helm and kubectl refuse to talk to the API server without a version they can parse.
        .arg(format!("-s -w -X k8s.io/component-base/version.gitVersion={}", module::kubernetes_version()))
        .arg(tool.package())
        .current_dir(module::of(tool))
        .env("CGO_ENABLED", "0")
        .env("GOBIN", into)
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(fail)?)
        .stderr(output)
        // A process group of its own, so that the reaper ends the compilers together with go.
        .process_group(0)
        .spawn()
        .map_err(|source| ToolsError::Cache { path: PathBuf::from("go"), source })?;
    reaper::guard_process(child.id()).map_err(fail)?;
    let mut last = Instant::now();
    let status = poll::until("go install", BUILD_TIMEOUT, || {
        if last.elapsed() >= Duration::from_secs(1) {
            last = Instant::now();
            report(true);
        }
        child.try_wait().ok().flatten()
    });
    let _ = reaper::forget_process(child.id());
    let status = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status.to_string(),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            error.to_string()
        }
    };
    let text = fs::read(&log).unwrap_or_default();
    let output = String::from_utf8_lossy(&text[text.len().saturating_sub(SHOWN_OUTPUT)..]).into_owned();
    Err(ToolsError::Build { tool, status, output })
}

/// Fails unless a recent enough Go is installed.
fn check_go(missing: &[Tool]) -> Result<(), ToolsError> {
    let wanted = module::version("go").unwrap_or_else(|| "1.26".to_owned());
    // Outside the module's directory: there an old go would download a newer one before it answers.
    let answer = Command::new("go").args(["env", "GOVERSION"]).current_dir(env::temp_dir()).output();
    let problem = match answer {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            let found = text.trim_start_matches("go");
            if numbers(found) >= numbers(&wanted) {
                return Ok(());
            }
            format!("the installed Go {found} is too old")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => "Go is not installed".to_owned(),
        Err(error) => format!("go does not run: {error}"),
    };
    let missing = missing.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ");
    Err(ToolsError::NoGo { missing, problem, wanted })
}

fn numbers(version: &str) -> Vec<u32> {
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    version.split('.').map_while(|part| digits(part).parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(numbers("1.26.8") >= numbers("1.26"));
        assert!(numbers("1.9") < numbers("1.26"));
        assert!(numbers("1.27rc1") >= numbers("1.26.0"));
    }
}
