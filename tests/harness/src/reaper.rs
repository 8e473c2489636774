//! Cleanup after a failed test, Ctrl-C, a panic or a `kill -9` of the test process.
//!
//! One small shell process per test process reads from a pipe. Every process group and directory created here is
//! reported to it; when the pipe is closed, because its owner ended, it kills those processes and removes those
//! directories. It has its own process group, so the terminal's Ctrl-C reaches neither it nor the processes it guards.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

const SCRIPT: &str = include_str!("reaper.sh");

static REAPER: OnceLock<Mutex<ChildStdin>> = OnceLock::new();

/// Kills this process group once this process has ended.
pub fn guard_process(group: u32) -> io::Result<()> {
    send(&format!("process {group}"))
}

/// Stops guarding a process group, which has ended.
pub fn forget_process(group: u32) -> io::Result<()> {
    send(&format!("forget-process {group}"))
}

/// Removes this directory once this process has ended. Ignored unless its name starts with [`crate::scratch::PREFIX`].
pub fn guard_directory(directory: &Path) -> io::Result<()> {
    send(&format!("directory {}", directory.display()))
}

/// Stops guarding a directory, which has been removed or is to stay.
pub fn forget_directory(directory: &Path) -> io::Result<()> {
    send(&format!("forget-directory {}", directory.display()))
}

fn send(line: &str) -> io::Result<()> {
    let reaper = REAPER.get_or_init(|| Mutex::new(start().expect("the reaper starts: /bin/sh is there")));
    let mut pipe = reaper.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(pipe, "{line}")
}

fn start() -> io::Result<ChildStdin> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "coder-logstream-test-reaper"])
        .stdin(Stdio::piped())
        // Not inherited: a reader of the test's output would otherwise wait for the reaper to end as well.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok(child.stdin.take().expect("stdin is piped"))
}
