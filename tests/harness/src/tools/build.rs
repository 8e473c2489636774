//! Building missing tools with Go, one after another.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::cache::{self, module};
use super::{Progress, Tool, ToolsError, held_by};
use crate::{poll, reaper};

/// Longer than any single tool has ever taken to build; a stuck download ends here.
const PATIENCE: Duration = Duration::from_hours(1);

/// How many bytes of a failed build's output are shown: its end, which has the error.
const SHOWN_OUTPUT: usize = 4_000;

/// Builds tools into the cache. Two processes that do so at once build once.
pub(super) fn build(
    missing: &[Tool],
    cache: &Path,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<BTreeMap<Tool, PathBuf>, ToolsError> {
    check_go(missing)?;
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| ToolsError::Cache { path, source }
    };
    fs::create_dir_all(cache).map_err(fail(cache))?;
    let _lock = lock(&cache.with_extension("lock"), progress)?;

    // Whoever held the lock may have built them.
    let mut built = held_by(missing.iter().copied(), |tool| cache::path(cache, tool));
    let still: Vec<Tool> = missing.iter().copied().filter(|tool| !built.contains_key(tool)).collect();
    if still.is_empty() {
        return Ok(built);
    }
    let unfinished = cache.with_extension("unfinished");
    let started = Instant::now();
    progress(&Progress::Begin { count: still.len(), cache });
    for (index, &tool) in still.iter().enumerate() {
        let _ = fs::remove_dir_all(&unfinished);
        fs::create_dir_all(&unfinished).map_err(fail(&unfinished))?;
        let mut tell = |again| {
            let (number, count) = (index + 1, still.len());
            progress(&Progress::Building { tool, number, count, elapsed: started.elapsed(), again });
        };
        install(tool, &unfinished, &mut tell)?;
        // A tool appears in the cache in one step: what is there is complete, also after an interrupted build.
        let path = cache::path(cache, tool);
        fs::rename(unfinished.join(tool.name()), &path).map_err(fail(&path))?;
        built.insert(tool, path);
    }
    let _ = fs::remove_dir_all(&unfinished);
    progress(&Progress::Done { elapsed: started.elapsed() });
    Ok(built)
}

/// One `go install`.
fn install(tool: Tool, into: &Path, tell: &mut dyn FnMut(bool)) -> Result<(), ToolsError> {
    tell(false);
    let log = into.join("log");
    let fail = |source| ToolsError::Cache { path: log.clone(), source };
    let output = File::create(&log).map_err(fail)?;
    let mut child = Command::new("go")
        .args(["install", "-ldflags"])
        // Without a version that can be parsed, helm and kubectl refuse to speak to the API server.
        .arg(format!("-s -w -X k8s.io/component-base/version.gitVersion={}", kubernetes_version()))
        .arg(tool.package())
        .current_dir(module())
        .env("CGO_ENABLED", "0")
        .env("GOBIN", into)
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(fail)?)
        .stderr(output)
        // A group of its own, compilers and all, for the reaper to end when this process is.
        .process_group(0)
        .spawn()
        .map_err(|source| ToolsError::Cache { path: PathBuf::from("go"), source })?;
    reaper::guard_process(child.id()).map_err(fail)?;
    let mut last = Instant::now();
    let status = poll::until("go install", PATIENCE, || {
        if last.elapsed() >= Duration::from_secs(1) {
            last = Instant::now();
            tell(true);
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

fn lock(path: &Path, progress: &mut dyn FnMut(&Progress<'_>)) -> Result<File, ToolsError> {
    let fail = |source| ToolsError::Cache { path: path.to_owned(), source };
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress(&Progress::Waiting);
            file.lock().map_err(fail)?;
        }
        Err(TryLockError::Error(error)) => return Err(fail(error)),
    }
    Ok(file)
}

/// Is there a Go, and is it new enough?
fn check_go(missing: &[Tool]) -> Result<(), ToolsError> {
    let wanted = required("go ").unwrap_or_else(|| "1.26".to_owned());
    // Not in the module's folder: there an old go would download a newer one before it answers.
    let answer = Command::new("go").args(["env", "GOVERSION"]).current_dir(env::temp_dir()).output();
    let problem = match answer {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            let found = text.trim_start_matches("go");
            if numbers(found) >= numbers(&wanted) {
                return Ok(());
            }
            format!("the Go found here is {found}, which is too old")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => "there is no Go here".to_owned(),
        Err(error) => format!("go does not run: {error}"),
    };
    let missing = missing.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ");
    Err(ToolsError::NoGo { missing, problem, wanted })
}

/// The version of k8s.io/kubernetes in go.mod.
fn kubernetes_version() -> String {
    required("k8s.io/kubernetes ").unwrap_or_else(|| "v1.37.2".to_owned())
}

/// What follows `name` at the start of a line of go.mod.
fn required(name: &str) -> Option<String> {
    let text = fs::read_to_string(module().join("go.mod")).ok()?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name))?;
    line.split_whitespace().next().map(str::to_owned)
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

    #[test]
    fn go_mod_names_the_versions_that_are_needed() {
        assert!(kubernetes_version().starts_with("v1."));
        assert!(required("go ").is_some());
    }
}
