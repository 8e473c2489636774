//! The demo as a process: what its exit code says.
#![allow(clippy::expect_used, reason = "a helper of a test may end it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DEMO: &str = env!("CARGO_BIN_EXE_logstream-demo");

fn demo(arguments: &[&str]) -> Output {
    Command::new(DEMO).args(arguments).output().expect("the demo starts")
}

/// The product's binary, when it was built together with this test. Otherwise the demo builds it.
fn product() -> Option<PathBuf> {
    Some(Path::new(DEMO).with_file_name("coder-logstream-kube")).filter(|path| path.is_file())
}

/// Plays with the product that was built with this test, if it was.
fn play(arguments: &[&str]) -> Output {
    let program = product().map(|path| format!("--program={}", path.display()));
    demo(&arguments.iter().copied().chain(program.as_deref()).collect::<Vec<_>>())
}

#[test]
fn helm_installs_it_and_a_described_pod_shows_whose_it_is() {
    let output = play(&["--scenario=normal-start"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for part in
        ["helm install coder-logstream-kube ./helm", "describe pod", "logstream.coder.com/owner: alice", "6 of 6"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn an_unknown_scenario_is_refused_with_the_names_of_all() {
    let output = demo(&["--scenario", "oom"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    for name in ["normal-start", "wrong-image", "quota-exceeded", "crash-loop", "oom-killed", "evicted"] {
        assert!(error.contains(name), "{name}: {error}");
    }
}

#[test]
fn what_a_given_cluster_cannot_play_is_refused_before_anything_is_touched() {
    let output = demo(&["--kubeconfig", "/nowhere", "--scenario", "evicted"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("--scenario evicted cannot be played with --kubeconfig"), "{error}");
}

#[test]
fn missing_lines_are_named_and_make_it_fail() {
    // Nobody waits for the lines, so none are there.
    let output = play(&["--scenario=quota-exceeded", "--patience=0"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for part in ["carol/web — quota exceeded: no line says\n    Queued pod", "The end of the log", "0 of 4"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains('\u{1b}'), "no colours where there is no terminal: {said}");
}
