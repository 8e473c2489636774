//! The product and the baselines, built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::args::Args;

/// The workspace's root, which this package is a directory of.
pub(crate) const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Where the programs are.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) product: PathBuf,
    pub(crate) baseline_stream: PathBuf,
    pub(crate) baseline_list: PathBuf,
    pub(crate) baseline_admission: PathBuf,
}

impl Programs {
    /// Builds what was not given: the product by itself, as its image has it, and the baselines by the same profile.
    pub(crate) fn build(args: &Args) -> Result<Self> {
        let product = match &args.program {
            Some(program) => program.clone(),
            None => find(&cargo(&["build", "--release", "--package", PRODUCT, "--bins"])?, PRODUCT)?,
        };
        let baselines = if let Some(directory) = &args.baselines {
            BASELINES.iter().map(|baseline| directory.join(baseline)).collect()
        } else {
            let mut arguments = vec!["build", "--release", "--package", env!("CARGO_PKG_NAME")];
            arguments.extend(BASELINES.iter().flat_map(|baseline| ["--bin", baseline]));
            cargo(&arguments)?
        };
        Ok(Self {
            product,
            baseline_stream: find(&baselines, BASELINES[0])?,
            baseline_list: find(&baselines, BASELINES[1])?,
            baseline_admission: find(&baselines, BASELINES[2])?,
        })
    }
}

const PRODUCT: &str = "coder-logstream-kube";
const BASELINES: [&str; 3] = ["baseline-stream", "baseline-list", "baseline-admission"];

/// Calls cargo, with what it says on stderr, and answers the programs it built. Blocks.
fn cargo(arguments: &[&str]) -> Result<Vec<PathBuf>> {
    let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    command.args(arguments).arg("--message-format=json-render-diagnostics").current_dir(WORKSPACE);
    // Build scripts that look at what cargo says of the package it runs would be run again, and all that depends on them.
    for prefix in ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"] {
        let names = std::env::vars_os().map(|(name, _)| name);
        names.filter(|name| name.to_str().is_some_and(|name| name.starts_with(prefix))).for_each(|name| {
            command.env_remove(name);
        });
    }
    let output = command.stderr(Stdio::inherit()).output().context("cargo does not start")?;
    ensure!(output.status.success(), "cargo {}: {}", arguments.join(" "), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(executable).collect())
}

fn find(programs: &[PathBuf], name: &str) -> Result<PathBuf> {
    let named = |program: &&PathBuf| program.file_stem() == Some(name.as_ref());
    programs.iter().find(named).cloned().with_context(|| format!("cargo built no program named {name}"))
}

/// The program that a message of cargo tells of.
fn executable(message: &str) -> Option<PathBuf> {
    serde_json::from_str::<Value>(message).ok()?["executable"].as_str().map(|path| Path::new(path).to_owned())
}

/// Runs the small pieces' benches, and answers the target directory, in which Criterion leaves its estimates. Blocks.
pub(crate) fn bench() -> Result<PathBuf> {
    let bench = ["bench", "--package", env!("CARGO_PKG_NAME"), "--bench", "pieces"];
    let programs = cargo(&[&bench[..], &["--no-run"]].concat())?;
    // TARGET/release/deps/pieces-…
    let target = find_prefixed(&programs, "pieces").and_then(|program| program.ancestors().nth(3).map(Path::to_owned));
    let status = Command::new(option_env!("CARGO").unwrap_or("cargo")).args(bench).current_dir(WORKSPACE).status()?;
    ensure!(status.success(), "cargo bench: {status}");
    target.context("cargo built no benches")
}

fn find_prefixed(programs: &[PathBuf], prefix: &str) -> Option<PathBuf> {
    let named = |program: &&PathBuf| program.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    programs.iter().find(named).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_tells_where_the_programs_are() {
        let message = r#"{"reason":"compiler-artifact","executable":"/t/baseline-list"}"#;
        let found: Vec<PathBuf> =
            [message, r#"{"executable":null}"#, "no JSON"].into_iter().filter_map(executable).collect();
        assert_eq!(find(&found, "baseline-list").unwrap(), Path::new("/t/baseline-list"));
        assert!(find(&found, "baseline").is_err());
    }
}
