//! The demo as a process: its output and exit codes.
#![allow(clippy::expect_used, reason = "a helper of a test may end it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DEMO: &str = env!("CARGO_BIN_EXE_logstream-demo");

fn demo(arguments: &[&str]) -> Output {
    Command::new(DEMO).args(arguments).output().expect("the demo starts")
}

/// The product's binary, if it was built together with this test. Otherwise the demo builds it.
fn product() -> Option<PathBuf> {
    Some(Path::new(DEMO).with_file_name("coder-logstream-kube")).filter(|path| path.is_file())
}

/// Runs the demo with the product's binary that was built with this test, if there is one.
fn play(arguments: &[&str]) -> Output {
    let program = product().map(|path| format!("--program={}", path.display()));
    demo(&arguments.iter().copied().chain(program.as_deref()).collect::<Vec<_>>())
}

#[test]
fn helm_installs_it_and_the_pods_annotations_name_the_owner() {
    let output = play(&["--scenario=normal-start"]);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    for part in
        ["helm install coder-logstream-kube ./helm", "describe pod", "logstream.coder.com/owner: alice", "6 of 6"]
    {
        assert!(stdout.contains(part), "{part}: {stdout}");
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
fn scenarios_that_need_the_simulated_node_are_refused_early() {
    let output = demo(&["--kubeconfig", "/nowhere", "--scenario", "evicted"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("--scenario evicted cannot be played with --kubeconfig"), "{error}");
}

#[test]
fn missing_lines_are_listed_and_fail_the_run() {
    // With a deadline of zero, no lines have arrived yet.
    let output = play(&["--scenario=quota-exceeded", "--patience=0"]);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    for part in ["carol/web — quota exceeded: no line contains\n    Queued pod", "The end of the log", "0 of 4"] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    assert!(!stdout.contains('\u{1b}'), "no colours where there is no terminal: {stdout}");
}

#[test]
fn the_list_names_stories_and_causes_without_a_cluster() {
    let output = demo(&["--list"]);
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{list}");
    for part in
        ["  wrong-image ", "  quota_exceeded               real ", "  exit_126 ", "captured ", "message ", "  unknown "]
    {
        assert!(list.contains(part), "{part}: {list}");
    }
}
