//! The real cert-manager.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::Admin;
use crate::process::{Output, Process, Start};
use crate::scratch::Scratch;
use crate::tools::{Tool, Tools, module_source};

/// The kinds that its program serves; those of ACME are not among them.
const KINDS: [&str; 4] = ["certificaterequests", "certificates", "clusterissuers", "issuers"];

/// cert-manager's controllers and its cainjector as one process, for one cluster. It has no webhook, hence no floor
/// under the lives of certificates. Ends when it is dropped.
#[derive(Debug)]
pub struct CertManager {
    process: Process,
    log: PathBuf,
    _scratch: Scratch,
}

impl CertManager {
    /// Installs the CRDs of this version, and starts it. Its program is built first where it is missing, which takes a
    /// minute. Blocks.
    pub fn start(cluster: &impl AsRef<Admin>) -> Result<Self> {
        let admin = cluster.as_ref();
        let tools = Tools::ensure(&[Tool::CertManager])?;
        let source = module_source("github.com/cert-manager/cert-manager")?;
        for kind in KINDS {
            let file = source.join(format!("deploy/crds/cert-manager.io_{kind}.yaml"));
            let file = file.to_str().context("a path of Go's is text")?;
            admin.kubectl(&["apply", "--server-side", "-f", file])?;
        }
        for kind in KINDS {
            let kind = format!("crd/{kind}.cert-manager.io");
            admin.kubectl(&["wait", "--for=condition=Established", &kind, "--timeout=60s"])?;
        }
        let scratch = Scratch::create("certmanager")?;
        let log = scratch.path().join("log");
        let start = Start {
            program: tools.path(Tool::CertManager),
            arguments: &[format!("--kubeconfig={}", admin.kubeconfig().display())],
            environment: &[("HOME".to_owned(), scratch.path().display().to_string())],
            directory: scratch.path(),
        };
        let process = Process::start(&start, &Output::File(&log)).context("certmanager does not start")?;
        Ok(Self { process, log, _scratch: scratch })
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
