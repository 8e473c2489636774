//! A test in a node's namespaces: its control plane, its node and its pods share one network that is not the machine's.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::cgroups::Cgroups;
use crate::{
    Cluster, Tool, Tools, poll,
    process::{Output, Process, Start},
    scratch::Scratch,
    tools::installed,
};

/// Prepares mounts, network and sysctls. Sourced by PID 1.
pub(super) const PREPARE: &str = include_str!("prepare.sh");

/// Address of the node in its network, at which pods reach servers of the test.
const NODE_IP: Ipv4Addr = Ipv4Addr::new(10, 89, 0, 1);

/// Set in the namespaces of [`run`], to the root of the node's cgroups.
const VARIABLE: &str = "LOGSTREAM_TEST_ISOLATED";

/// Script of PID 1, a shell that adopts and reaps the processes that containerd leaves behind.
const INIT: &str = r#"set -eu
. "$0"
ip addr add "$SERVICE_IP/32" dev lo
"$@"
exit 0
"#;

/// Arguments of `unshare` for a node's namespaces.
pub(super) fn arguments() -> Vec<String> {
    let arguments = "--mount --net --pid --fork --kill-child --mount-proc --propagation private";
    arguments.split(' ').map(str::to_owned).collect()
}

/// The root of the cgroups in a process that [`run`] started; `None` in any other.
pub(super) fn cgroup_root() -> Option<String> {
    env::var(VARIABLE).ok()
}

/// True in a process that [`run`] started.
pub fn entered() -> bool {
    cgroup_root().is_some()
}

/// Runs the test of this name of this program once more, in its own namespaces, where [`entered`] returns true. Blocks.
/// Fails with the test's output if it fails, or takes longer than `patience`. `tools` are installed before, because
/// nothing can be downloaded there.
pub fn run(test: &str, tools: &[Tool], patience: Duration) -> Result<()> {
    Tools::ensure(tools)?;
    let cgroups = Cgroups::create("isolated")?;
    let files = Scratch::create("isolated")?;
    let (prepare, output) = (files.path().join("prepare.sh"), files.path().join("output"));
    fs::write(&prepare, PREPARE)?;
    let mut arguments = arguments();
    arguments.extend(["/bin/sh", "-c", INIT].map(str::to_owned));
    arguments.push(prepare.display().to_string());
    arguments.push(env::current_exe()?.display().to_string());
    arguments.extend(["--exact", test, "--nocapture"].map(str::to_owned));
    let mut environment: Vec<_> = env::vars().collect();
    environment.push((VARIABLE.to_owned(), cgroups.root().to_owned()));
    environment.push(("SERVICE_IP".to_owned(), crate::cluster::SERVICE_IP.to_owned()));
    let start = Start {
        program: &installed("unshare").context("unshare is not installed")?,
        arguments: &arguments,
        environment: &environment,
        directory: &env::current_dir()?,
    };
    let mut process = Process::start(&start, &Output::File(&output))?;
    let status = poll::until(&format!("{test} ends"), patience, || process.ended());
    process.kill();
    let printed = fs::read_to_string(&output).unwrap_or_default();
    let status = status.with_context(|| printed.clone())?;
    ensure!(status.success(), "{printed}");
    Ok(())
}

/// Makes a server of the test on 127.0.0.1 reachable by pods. Returns its address there, and the process that forwards
/// to it. Ends with that process.
pub fn expose(server: SocketAddr, directory: &Path) -> Result<(SocketAddr, Process)> {
    let address = SocketAddr::from((NODE_IP, server.port()));
    Ok((address, relay(address, server, directory)?))
}

/// Makes the API server reachable by its Service's cluster IP, as kube-proxy would. Ends with the returned process.
pub fn expose_kubernetes(cluster: &Cluster) -> Result<Process> {
    let service = SocketAddr::new(crate::cluster::SERVICE_IP.parse()?, 443);
    relay(service, cluster.server_address(), cluster.directory())
}

fn relay(from: SocketAddr, to: SocketAddr, directory: &Path) -> Result<Process> {
    let listen = format!("TCP-LISTEN:{},bind={},fork,reuseaddr", from.port(), from.ip());
    super::start("socat", &[listen, format!("TCP:{to}")], directory, &format!("relay-{}.log", from.port()))
}
