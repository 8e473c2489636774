//! Building of the product and the baselines.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::args::Args;

/// The root of the Cargo workspace.
pub(crate) const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Paths of the programs.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) product: PathBuf,
    pub(crate) baseline_stream: PathBuf,
    pub(crate) baseline_list: PathBuf,
    pub(crate) baseline_admission: PathBuf,
}

impl Programs {
    /// Builds the programs that were not given: the product on its own, as in its image, and the baselines with the
    /// same profile.
    pub(crate) fn build(args: &Args) -> Result<Self> {
        let product = match &args.program {
            Some(program) => program.clone(),
            None => product()?,
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

/// Builds the product as its image has it, a static program. Blocks.
fn product() -> Result<PathBuf> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let status = Command::new("packaging/build")
        .arg(architecture)
        .current_dir(WORKSPACE)
        .stdout(Stdio::null())
        .status()
        .context("packaging/build does not start")?;
    ensure!(status.success(), "packaging/build {architecture}: {status}");
    Ok(Path::new(WORKSPACE).join("dist").join(architecture).join(PRODUCT))
}

/// Runs cargo, with its stderr inherited, and returns the programs it built. Blocks.
fn cargo(arguments: &[&str]) -> Result<Vec<PathBuf>> {
    let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    command.args(arguments).arg("--message-format=json-render-diagnostics").current_dir(WORKSPACE);
    // Build scripts that read the variables of the running package would run again, and their dependents be rebuilt.
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

/// Path of the program that a message of cargo is about.
fn executable(message: &str) -> Option<PathBuf> {
    serde_json::from_str::<Value>(message).ok()?["executable"].as_str().map(|path| Path::new(path).to_owned())
}

/// Runs the microbenchmarks and returns the target directory, which contains Criterion's estimates. Blocks.
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
    fn paths_are_read_from_cargos_messages() {
        let message = r#"{"reason":"compiler-artifact","executable":"/t/baseline-list"}"#;
        let found: Vec<PathBuf> =
            [message, r#"{"executable":null}"#, "no JSON"].into_iter().filter_map(executable).collect();
        assert_eq!(find(&found, "baseline-list").unwrap(), Path::new("/t/baseline-list"));
        assert!(find(&found, "baseline").is_err());
    }
}
