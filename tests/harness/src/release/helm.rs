//! The real helm, isolated from this machine's configuration.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::scratch::Scratch;

/// helm, for one cluster.
#[derive(Debug, Clone)]
pub struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: Arc<Scratch>,
}

impl Helm {
    /// helm with the user of this kubeconfig.
    pub fn new(program: &Path, kubeconfig: &Path) -> Result<Self> {
        let home = Arc::new(Scratch::create("helm")?);
        Ok(Self { program: program.to_owned(), kubeconfig: kubeconfig.to_owned(), home })
    }

    /// Runs helm and returns its output.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = tokio::process::Command::from(self.command(arguments));
        answer(arguments, command.kill_on_drop(true).output().await)
    }

    /// The same for blocking code.
    pub fn run_blocking(&self, arguments: &[&str]) -> Result<String> {
        answer(arguments, self.command(arguments).output())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().env("HOME", self.home.path()).env("KUBECONFIG", &self.kubeconfig);
        command.stdin(Stdio::null());
        command
    }
}

fn answer(arguments: &[&str], output: io::Result<Output>) -> Result<String> {
    let output = output.context("helm does not start")?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("helm {}: {}\n{stderr}", arguments.join(" "), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
