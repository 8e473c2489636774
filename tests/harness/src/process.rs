//! Child processes that do not outlive this process.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{poll, reaper};

/// Waits for a line on stdin before it executes the program. So the reaper knows the process before it does anything;
/// if the parent dies in between, the shell reads EOF and ends.
const GATE: &str = r#"read -r go && exec "$0" "$@""#;

/// Destination of a child's output.
#[derive(Debug)]
pub enum Output<'a> {
    /// Appends both streams to one file.
    File(&'a Path),
    /// Two pipes (see [`Process::take_pipes`]).
    Pipes,
}

/// Description of a process to start.
#[derive(Debug, Clone)]
pub struct Start<'a> {
    /// The program's path.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: &'a [String],
    /// Its complete environment; nothing is inherited.
    pub environment: &'a [(String, String)],
    /// Its working directory.
    pub directory: &'a Path,
}

/// A child process in its own process group. Killed on drop, and when this process ends in any way.
#[derive(Debug)]
pub struct Process {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts a program.
    pub fn start(start: &Start<'_>, output: &Output<'_>) -> io::Result<Self> {
        let (stdout, stderr) = match output {
            Output::File(path) => {
                let file = File::options().create(true).append(true).open(path)?;
                (Stdio::from(file.try_clone()?), Stdio::from(file))
            }
            Output::Pipes => (Stdio::piped(), Stdio::piped()),
        };
        let mut child = Command::new("/bin/sh")
            .args(["-c", GATE])
            .arg(start.program)
            .args(start.arguments)
            .env_clear()
            .envs(start.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(start.directory)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()?;
        reaper::guard_process(child.id())?;
        child.stdin.take().expect("stdin is piped").write_all(b"go\n")?;
        Ok(Self { child, ended: None })
    }

    /// The process ID, which is also its group's.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pipes of [`Output::Pipes`]; `None` on a second call.
    pub fn take_pipes(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        Some((self.child.stdout.take()?, self.child.stderr.take()?))
    }

    /// The exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            self.ended = Some(status);
            let _ = reaper::forget_process(self.child.id());
        }
        self.ended
    }

    /// Sends a signal to the process group. Does nothing if the process has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none()
            && let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Sends SIGTERM and waits for the end. Returns `None` if it still runs after `patience`.
    pub fn terminate(&mut self, patience: Duration) -> Option<(ExitStatus, Duration)> {
        let signalled = Instant::now();
        self.signal(Signal::TERM);
        let status = poll::until("the process ends", patience, || self.ended()).ok()?;
        Some((status, signalled.elapsed()))
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        if self.ended.is_none() {
            self.ended = self.child.wait().ok();
            let _ = reaper::forget_process(self.child.id());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
