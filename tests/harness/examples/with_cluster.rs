//! Runs a command with its own cluster, which has cert-manager's kinds. KUBECONFIG, KUBECTL and HELM point to what the
//! command needs. Fails if the command fails.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use logstream_testing::{CertManager, Cluster, ClusterOptions, Tool, Tools};

fn main() -> Result<ExitCode> {
    let mut command = std::env::args().skip(1);
    let program = command.next().context("no command given")?;
    let cluster = Cluster::start(ClusterOptions::new())?;
    let tools = Tools::ensure(&[Tool::Helm])?;
    let _manager = CertManager::start(&cluster)?;
    let status = Command::new(&program)
        .args(command)
        .env("KUBECONFIG", cluster.admin_kubeconfig())
        .env("KUBECTL", cluster.tool(Tool::Kubectl))
        .env("HELM", tools.path(Tool::Helm))
        .status()
        .with_context(|| format!("{program} does not start"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
