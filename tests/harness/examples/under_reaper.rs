//! Starts two processes, creates a directory, prints both, and waits to be killed. Used by the reaper's test.

use std::io::Read;
use std::path::Path;

use logstream_testing::process::{Output, Process, Start};
use logstream_testing::scratch::Scratch;

#[allow(clippy::print_stdout, reason = "its parent reads it")]
fn main() -> anyhow::Result<()> {
    let scratch = Scratch::create("reaper-test")?;
    let log = scratch.path().join("log");
    // The second ignores SIGTERM and has a child.
    let scripts = ["exec sleep 600", "trap '' TERM; sleep 600 & while :; do sleep 600; done"];
    let mut processes = Vec::new();
    for script in scripts {
        let arguments = ["-c".to_owned(), script.to_owned()];
        let environment = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        let start = Start {
            program: Path::new("/bin/sh"),
            arguments: &arguments,
            environment: &environment,
            directory: scratch.path(),
        };
        processes.push(Process::start(&start, &Output::File(&log))?);
    }
    let pids: Vec<String> = processes.iter().map(|process| process.pid().to_string()).collect();
    println!("{} {}", scratch.path().display(), pids.join(" "));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
