//! The baselines as child processes.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use logstream_testing::process::{Output, Process, Start};

use crate::wait;

const PATIENCE: Duration = Duration::from_mins(5);

/// Starts a baseline.
pub(crate) fn start(program: &Path, arguments: &[&str]) -> Result<Process> {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let environment = [("NO_PROXY".to_owned(), "127.0.0.1".to_owned())];
    let program = program.canonicalize().with_context(|| program.display().to_string())?;
    let start =
        Start { program: &program, arguments: &arguments, environment: &environment, directory: Path::new("/") };
    Ok(Process::start(&start, &Output::Pipes)?)
}

/// Starts a baseline and waits until it prints that it watches. Blocks.
pub(crate) fn watching(program: &Path, arguments: &[&str]) -> Result<Process> {
    let mut process = start(program, arguments)?;
    let (stdout, _stderr) = process.take_pipes().context("the pipes are ours")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    if line.trim() != "ready" {
        bail!("{} does not watch", program.display());
    }
    Ok(process)
}

/// Runs a baseline to its end and returns its duration.
pub(crate) async fn timed(program: &Path, arguments: &[&str]) -> Result<Duration> {
    let begun = Instant::now();
    let mut process = start(program, arguments)?;
    let mut ended = None;
    wait::until("the baseline ends", PATIENCE, Duration::from_millis(2), || {
        ended = process.ended().map(|status| (status, begun.elapsed()));
        ended.is_some()
    })
    .await?;
    let (status, time) = ended.context("it has ended")?;
    if !status.success() {
        bail!("{}: {status}", program.display());
    }
    Ok(time)
}

/// Waits until a baseline accepts connections.
pub(crate) async fn listening(address: SocketAddr) -> Result<()> {
    let pause = Duration::from_millis(5);
    wait::until("the baseline listens", PATIENCE, pause, || TcpStream::connect(address).is_ok()).await
}
