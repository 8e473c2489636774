//! The real cert-manager.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::Admin;
use crate::process::{Output, Process, Start};
use crate::scratch::Scratch;
use crate::tools::{Tool, Tools, module_source};

/// The kinds that it serves, without ACME.
const KINDS: [&str; 4] = ["certificaterequests", "certificates", "clusterissuers", "issuers"];

/// cert-manager's controllers and its cainjector as one process, for one cluster. It has no webhook, and hence no lower
/// limit on certificate lifetimes. Ends when dropped.
#[derive(Debug)]
pub struct CertManager {
    process: Process,
    log: PathBuf,
    _scratch: Scratch,
}

impl CertManager {
    /// Installs this version's CRDs and starts it. A missing program is built first, which takes a minute. Blocks.
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

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
