//! Building of the product's binary.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use logstream_testing::poll;
use logstream_testing::process::{Output, Process, Start};
use serde_json::Value;

/// Deadline of the build. A cold build takes minutes.
const PATIENCE: Duration = Duration::from_hours(1);

/// The root of the Cargo workspace.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The package and its binary.
pub(crate) const NAME: &str = "coder-logstream-kube";

/// Builds the product with the same cargo and profile as this program. Returns the binary's path and the profile.
/// Blocks.
pub(crate) fn build() -> Result<(PathBuf, String)> {
    let profile = profile(&env::current_exe()?);
    // Together with this package, the dependencies keep the features they were built with, so nothing is built twice.
    let packages = ["--package", NAME, "--package", env!("CARGO_PKG_NAME")];
    let settings = ["--profile", &profile, "--message-format", "json-render-diagnostics"];
    let arguments: Vec<String> =
        ["build"].iter().chain(&packages).chain(&settings).map(|&one| one.to_owned()).collect();
    let environment = environment();
    let cargo = environment.iter().find(|(name, _)| name == "CARGO").map_or("cargo", |(_, path)| path);
    let start = Start {
        program: Path::new(cargo),
        arguments: &arguments,
        environment: &environment,
        directory: Path::new(WORKSPACE),
    };
    let mut process = Process::start(&start, &Output::Pipes)?;
    let (stdout, mut stderr) = process.take_pipes().context("the pipes are ours")?;
    let errors = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let program = BufReader::new(stdout).lines().map_while(Result::ok).filter_map(|line| executable(&line)).last();
    let status = poll::until("cargo build", PATIENCE, || process.ended())?;
    if !status.success() {
        let errors = errors.join().ok().and_then(Result::ok).unwrap_or_default();
        bail!("cargo build --package {NAME}: {status}\n{errors}");
    }
    Ok((program.with_context(|| format!("cargo built no program named {NAME}"))?, profile))
}

/// This process's environment without the variables that cargo sets for the running package: build scripts that read
/// them would run again, and everything that depends on them would be rebuilt.
#[allow(clippy::disallowed_methods, reason = "passed on unread")]
fn environment() -> Vec<(String, String)> {
    let texts = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    env::vars_os().filter_map(texts).filter(|(name, _)| !of_a_package(name)).collect()
}

fn of_a_package(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
}

/// The profile, from the name of this program's directory.
fn profile(program: &Path) -> String {
    let directory = program.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or("debug");
    if directory == "debug" { "dev".to_owned() } else { directory.to_owned() }
}

/// Path of the product's binary if this message of cargo is about it.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    (message["target"]["name"] == NAME).then(|| message["executable"].as_str().map(PathBuf::from))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_that_of_this_program() {
        assert_eq!(profile(Path::new("/src/target/debug/logstream-demo")), "dev");
        assert_eq!(profile(Path::new("/src/target/release/logstream-demo")), "release");
        assert_eq!(profile(Path::new("/src/target/x86_64-unknown-linux-gnu/ci/logstream-demo")), "ci");
    }

    #[test]
    fn variables_of_the_running_package_are_left_out() {
        assert!(of_a_package("CARGO_PKG_NAME") && of_a_package("CARGO_MANIFEST_DIR"));
        assert!(!of_a_package("CARGO") && !of_a_package("CARGO_TARGET_DIR") && !of_a_package("CARGO_HOME"));
    }

    #[test]
    fn the_binarys_path_is_read_from_cargos_messages() {
        let message = r#"{"reason":"compiler-artifact","target":{"name":"coder-logstream-kube"},"executable":"/t/p"}"#;
        assert_eq!(executable(message), Some(PathBuf::from("/t/p")));
        let library = r#"{"target":{"name":"coder-logstream-kube"},"executable":null}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable(r#"{"target":{"name":"other"},"executable":"/t/o"}"#), None);
        assert_eq!(executable("warning: no JSON"), None);
    }
}
