//! The product's binary as a child process.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::Signal;

use crate::process::{Output, Process, Start};
use crate::scratch::Scratch;
use crate::{Metrics, pki, poll};

/// Timeout of a health request; a process that takes longer is not ready.
const LOOK: Duration = Duration::from_secs(2);

/// Builder of the product's process.
#[derive(Debug, Clone)]
pub struct Builder {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Builder {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable. Nothing is inherited.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts the process.
    pub fn start(self) -> Result<Product> {
        pki::install_crypto_provider();
        let scratch = Scratch::create("product")?;
        let program =
            fs::canonicalize(&self.program).with_context(|| format!("no program at {}", self.program.display()))?;
        let start = Start {
            program: &program,
            arguments: &self.arguments,
            environment: &self.environment,
            directory: scratch.path(),
        };
        let mut process = Process::start(&start, &Output::Pipes)?;
        let (stdout, stderr) = process.take_pipes().context("the pipes are ours")?;
        let output = Captured::default();
        output.follow(stdout);
        output.follow(stderr);
        Ok(Product { process, output, http: reqwest::Client::builder().timeout(LOOK).build()?, _scratch: scratch })
    }
}

/// The running product. Killed on drop, and when this process ends in any way.
#[derive(Debug)]
pub struct Product {
    process: Process,
    output: Captured,
    http: reqwest::Client,
    _scratch: Scratch,
}

impl Product {
    /// Returns a builder for the process of a binary.
    pub fn builder(program: impl AsRef<Path>) -> Builder {
        Builder { program: program.as_ref().to_owned(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// Waits until a GET of `url`, such as `http://127.0.0.1:PORT/readyz`, returns a 2xx. Fails at once if the process
    /// ends; the error shows the last response and the process's output.
    pub async fn wait_ready(&mut self, url: &str, deadline: Duration) -> Result<()> {
        let http = self.http.clone();
        let waited = poll::eventually("the product is ready", deadline, || {
            let ended = self.process.ended();
            let request = http.get(url).send();
            async move {
                if let Some(status) = ended {
                    return Ok(Err(anyhow!("it ended: {status}")));
                }
                let answer = request.await.map_err(|error| format!("{error:?}"))?;
                if answer.status().is_success() {
                    return Ok(Ok(()));
                }
                Err(format!("{} {}", answer.status(), answer.text().await.unwrap_or_default()))
            }
        })
        .await;
        waited.and_then(|ended| ended).with_context(|| format!("the product's output:\n{}", self.output()))
    }

    /// Waits until a GET of `url`, such as `http://127.0.0.1:PORT/readyz?verbose`, returns 503 and a body with
    /// `expected`.
    pub async fn wait_unready(&self, url: &str, expected: &str, deadline: Duration) -> Result<()> {
        let waited = poll::eventually(expected, deadline, || async {
            match self.get(url).await {
                Ok((503, checks)) if checks.contains(expected) => Ok(()),
                other => Err(other),
            }
        })
        .await;
        waited.with_context(|| format!("the product's output:\n{}", self.output()))
    }

    /// Scrapes `url`, such as `http://127.0.0.1:PORT/metrics`.
    pub async fn metrics(&self, url: &str) -> Result<Metrics> {
        let answer = self.http.get(url).send().await?.error_for_status()?;
        Ok(Metrics::parse(&answer.text().await?))
    }

    /// Sends a GET and returns status and body.
    pub async fn get(&self, url: &str) -> Result<(u16, String)> {
        let answer = self.http.get(url).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Waits until its output contains `text`. A log message is written after the event that it reports, so a test that
    /// has seen the event may have to wait for the message.
    pub async fn wait_output(&self, text: &str, deadline: Duration) -> Result<()> {
        poll::eventually(text, deadline, || {
            let output = self.output();
            async move { output.contains(text).then_some(()).ok_or(output) }
        })
        .await
    }

    /// Its output so far, the lines of stdout and stderr in order of arrival.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Sends SIGTERM without waiting.
    pub fn sigterm(&mut self) {
        self.process.signal(Signal::TERM);
    }

    /// Sends SIGTERM and waits for the end. Returns the exit status and the time it took. Blocks.
    pub fn sigterm_and_wait(&mut self, patience: Duration) -> Result<(ExitStatus, Duration)> {
        let ended = self.process.terminate(patience);
        ended.with_context(|| format!("still running {patience:?} after SIGTERM; its output:\n{}", self.output()))
    }

    /// Sends SIGSTOP: the process is stopped until [`Product::sigcont`], as in a frozen virtual machine.
    pub fn sigstop(&mut self) {
        self.process.signal(Signal::STOP);
    }

    /// Sends SIGCONT.
    pub fn sigcont(&mut self) {
        self.process.signal(Signal::CONT);
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// Its resident memory in bytes; `None` without /proc.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }
}

/// Output read so far.
#[derive(Debug, Clone, Default)]
struct Captured(Arc<Mutex<String>>);

impl Captured {
    fn follow(&self, from: impl Read + Send + 'static) {
        let lines = Arc::clone(&self.0);
        thread::spawn(move || -> io::Result<()> {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line)? > 0 {
                lines.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
            Ok(())
        });
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
