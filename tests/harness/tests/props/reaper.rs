//! Nothing is left behind, however a test process ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use logstream_testing::poll;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process_group};

/// The reaper gives processes two seconds before it kills them.
const GONE: Duration = Duration::from_secs(20);

/// The example `under_reaper`, with what it said it has.
struct Owner {
    process: Child,
    folder: PathBuf,
    groups: Vec<Pid>,
}

fn start() -> Owner {
    let mut process =
        Command::new(example!("under_reaper")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (folder, pids) = line.trim().split_once(' ').expect("the example tells what it has");
    let groups = pids.split(' ').map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect();
    Owner { process, folder: folder.into(), groups }
}

/// No process of the group is there any more, or none that still runs: where init reaps late, ended ones stay.
fn gone(group: Pid) -> bool {
    if test_kill_process_group(group) == Err(Errno::SRCH) {
        return true;
    }
    let ended = |stat: &Path| {
        let Ok(text) = std::fs::read_to_string(stat) else { return true };
        // pid (name) state ppid pgrp …: the name may hold anything.
        let mut fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
        let state = fields.next().unwrap_or_default().to_owned();
        state == "Z" || fields.nth(1) != Some(&group.as_raw_nonzero().to_string())
    };
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().all(|entry| ended(&entry.path().join("stat")) || !entry.path().join("stat").exists())
}

fn all_gone(owner: &Owner) {
    for &group in &owner.groups {
        poll::until("the process ends", GONE, || gone(group).then_some(())).unwrap();
    }
    poll::until("the folder is removed", GONE, || (!owner.folder.exists()).then_some(())).unwrap();
}

fn ended_by(signal: Signal) {
    let mut owner = start();
    assert!(owner.folder.is_dir());
    assert!(owner.groups.iter().all(|&group| !gone(group)));
    let pid = Pid::from_raw(i32::try_from(owner.process.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    owner.process.wait().unwrap();
    all_gone(&owner);
}

#[test]
fn a_killed_test_process_leaves_nothing_behind() {
    ended_by(Signal::KILL);
}

#[test]
fn an_interrupted_test_process_leaves_nothing_behind() {
    ended_by(Signal::INT);
}

#[test]
fn a_test_process_that_ends_well_leaves_nothing_behind() {
    let mut owner = start();
    drop(owner.process.stdin.take());
    assert!(owner.process.wait().unwrap().success());
    all_gone(&owner);
}
