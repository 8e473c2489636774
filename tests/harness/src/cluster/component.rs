//! The components of a control plane and their arguments.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::json;

use super::{ClusterOptions, layout::Layout};
use crate::process::{Output, Process, Start};
use crate::tools::{Tool, Tools};

/// Client rate limit of the components. Tests create objects in bursts, which the default of 20 to 50 requests per
/// second would delay.
const REQUESTS_PER_SECOND: u32 = 500;

/// Number of bytes of a component's log that an error shows.
const TAIL: usize = 3_000;

/// Program and arguments of a component.
pub(super) struct Launch {
    tool: Tool,
    /// Base name of its log.
    name: String,
    arguments: Vec<String>,
}

impl Launch {
    fn new(tool: Tool, arguments: Vec<String>) -> Self {
        Self { tool, name: tool.to_string(), arguments }
    }
}

/// A running component, its output in `NAME.log`.
#[derive(Debug)]
pub(super) struct Component {
    tool: Tool,
    process: Process,
    log: PathBuf,
}

impl Component {
    pub(super) fn start(launch: Launch, tools: &Tools, layout: &Layout) -> Result<Self> {
        let Launch { tool, name, arguments } = launch;
        let log = layout.directory().join(format!("{name}.log"));
        let home = layout.directory().display().to_string();
        let start = Start {
            program: tools.path(tool),
            arguments: &arguments,
            environment: &[("HOME".to_owned(), home), ("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            directory: layout.directory(),
        };
        let process = Process::start(&start, &Output::File(&log)).with_context(|| format!("{tool} does not start"))?;
        Ok(Self { tool, process, log })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops the process (SIGSTOP), or continues it.
    pub(super) fn pause(&mut self, pause: bool) {
        self.process.signal(if pause { Signal::STOP } else { Signal::CONT });
    }

    pub(super) fn kill(&mut self) {
        self.process.kill();
    }

    pub(super) fn check_alive(&mut self) -> Result<()> {
        match self.process.ended() {
            None => Ok(()),
            Some(status) => bail!("{} ended: {status}", self.tool),
        }
    }

    pub(super) fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(TAIL)..]);
        format!("the end of the log of {}:\n{tail}", self.tool)
    }
}

pub(super) fn etcd(layout: &Layout) -> Launch {
    let client = format!("http://{}", layout.etcd_client);
    let peer = format!("http://{}", layout.etcd_peer);
    let arguments = vec![
        "--name=default".to_owned(),
        format!("--data-dir={}", layout.text("etcd")),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // No data has to survive a power failure.
        "--unsafe-no-fsync=true".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    Launch::new(Tool::Etcd, arguments)
}

pub(super) fn apiserver(layout: &Layout, options: &ClusterOptions) -> Launch {
    let mut arguments = vec![
        format!("--etcd-servers=http://{}", layout.etcd_client),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", layout.apiserver.port()),
        format!("--tls-cert-file={}", layout.text("tls.crt")),
        format!("--tls-private-key-file={}", layout.text("tls.key")),
        format!("--cert-dir={}", layout.text("apiserver-certs")),
        format!("--token-auth-file={}", layout.tokens().display()),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", layout.service_account_public_key().display()),
        format!("--service-account-signing-key-file={}", layout.service_account_key().display()),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--profiling=false".to_owned(),
    ];
    if let Some(ttl) = options.event_ttl {
        arguments.push(format!("--event-ttl={}s", ttl.as_secs()));
    }
    if options.audit_policy.is_some() {
        arguments.push(format!("--audit-policy-file={}", layout.audit_policy().display()));
        arguments.push(format!("--audit-log-path={}", layout.text("audit.log")));
    }
    arguments.extend(options.apiserver_arguments.iter().cloned());
    Launch::new(Tool::ApiServer, arguments)
}

/// Another API server on the same etcd, which reaches the given resources there through a proxy.
pub(super) fn another_apiserver(
    layout: &Layout,
    options: &ClusterOptions,
    address: SocketAddr,
    resources: &[&str],
    etcd: SocketAddr,
) -> Launch {
    let Launch { tool, mut arguments, .. } = apiserver(layout, options);
    let overrides: Vec<_> = resources.iter().map(|resource| format!("{resource}#http://{etcd}")).collect();
    // The last occurrence of a flag counts.
    arguments.push(format!("--secure-port={}", address.port()));
    arguments.push(format!("--etcd-servers-overrides={}", overrides.join(",")));
    Launch { tool, name: "another-apiserver".to_owned(), arguments }
}

pub(super) fn controller_manager(layout: &Layout, options: &ClusterOptions) -> Launch {
    let mut arguments = vec![
        format!("--kubeconfig={}", layout.admin_kubeconfig().display()),
        format!("--service-account-private-key-file={}", layout.service_account_key().display()),
        format!("--root-ca-file={}", layout.text("ca.crt")),
        "--leader-elect=false".to_owned(),
        // No port: its health is checked by its effects.
        "--secure-port=0".to_owned(),
        format!("--kube-api-qps={REQUESTS_PER_SECOND}"),
        format!("--kube-api-burst={}", 2 * REQUESTS_PER_SECOND),
        // A test that stops the API server for a while must not find its pods evicted from an unreachable node.
        "--node-monitor-grace-period=1h".to_owned(),
    ];
    arguments.extend(options.controller_manager_arguments.iter().cloned());
    Launch::new(Tool::ControllerManager, arguments)
}

pub(super) fn scheduler(layout: &Layout) -> Result<Launch> {
    let config = json!({
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": { "leaderElect": false },
        "clientConnection": {
            "kubeconfig": layout.admin_kubeconfig(),
            "qps": REQUESTS_PER_SECOND,
            "burst": 2 * REQUESTS_PER_SECOND,
        },
    });
    fs::write(layout.directory().join("scheduler.yaml"), config.to_string())?;
    let arguments = vec![format!("--config={}", layout.text("scheduler.yaml")), "--secure-port=0".to_owned()];
    Ok(Launch::new(Tool::Scheduler, arguments))
}

pub(super) fn kwok(layout: &Layout) -> Launch {
    let arguments = vec![
        format!("--kubeconfig={}", layout.admin_kubeconfig().display()),
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned(),
        "--node-ip=127.0.0.1".to_owned(),
        "--cidr=10.64.0.1/16".to_owned(),
        format!("--config={}", layout.stages().display()),
    ];
    Launch::new(Tool::Kwok, arguments)
}
