//! A real node: kubelet, containerd and runc in namespaces of their own, joined to a test [`Cluster`].
//!
//! Mounts, network, processes and sysctls of the machine are not touched; ending one process removes everything. It
//! needs root, Linux with cgroup v1 or v2 hierarchies that can be written, and the programs of [`PROGRAMS`].

mod cgroups;
mod config;
mod image;

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    Cluster, Tool, Tools, poll,
    process::{Output, Process, Start},
    scratch::Scratch,
};
use cgroups::Cgroups;

/// Programs that must be installed, and the Debian package of each.
pub const PROGRAMS: [(&str, &str); 8] = [
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("busybox", "busybox-static"),
    ("socat", "socat"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
];

/// Directory of the CNI plugins, as Debian's `containernetworking-plugins` installs them.
const CNI_PLUGINS: &str = "/usr/lib/cni";

/// The image that every node has: busybox.
pub const IMAGE: &str = "docker.io/library/busybox:1.35";

/// A node takes 2 to 15 s to become ready; tests share the machine with builds.
const READY: Duration = Duration::from_mins(2);

const INIT: &str = include_str!("init.sh");

/// A running node. Dropping it ends kubelet, containerd and every container, and removes their files and cgroups.
#[derive(Debug)]
pub struct Node {
    name: String,
    // Fields are dropped in order: processes before the cgroups and files they use.
    init: Process,
    _relay: Process,
    _cgroups: Cgroups,
    files: Scratch,
}

/// Reason why no node can run on this machine, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no real node can run here: {0}")]
pub struct Unsupported(String);

/// Checks that a node can run on this machine.
pub fn supported() -> Result<(), Unsupported> {
    let unsupported = |reason: String| Err(Unsupported(reason));
    if !cfg!(target_os = "linux") {
        return unsupported("it needs Linux".into());
    }
    if !rustix::process::geteuid().is_root() {
        return unsupported("it needs root".into());
    }
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|(program, _)| find(program).is_none()).collect();
    if let Some((program, package)) = missing.first() {
        return unsupported(format!("{program} is not installed (Debian package {package})"));
    }
    if !Path::new(CNI_PLUGINS).join("bridge").is_file() {
        return unsupported(format!("{CNI_PLUGINS} has no CNI plugins (Debian package containernetworking-plugins)"));
    }
    cgroups::writable().or_else(|problem| unsupported(problem.to_string()))
}

impl Node {
    /// Starts a node of this name and waits until the API server calls it ready. Blocks.
    ///
    /// The node has the label `node=real` and the taint `node=real:NoSchedule`, so that only pods that ask for it run
    /// there. The kubelet is built first if needed (see [`Tools::ensure`]).
    pub fn start(cluster: &Cluster, name: &str) -> Result<Self> {
        supported()?;
        let kubelet = Tools::ensure(&[Tool::Kubelet])?.path(Tool::Kubelet).to_owned();
        let files = Scratch::create("node")?;
        let dir = files.path();
        let cgroups = Cgroups::create(name)?;
        fs::create_dir(dir.join("images"))?;
        let busybox = find("busybox").context("busybox")?;
        image::write(&dir.join("images/busybox.tar"), IMAGE, &busybox)?;
        image::write(&dir.join("images/pause.tar"), config::PAUSE, &busybox)?;
        fs::write(dir.join("init.sh"), INIT)?;
        fs::write(dir.join("name"), name)?;
        fs::create_dir(dir.join("cni"))?;
        fs::write(dir.join("cni/10-pods.conflist"), config::cni().to_string())?;
        fs::write(dir.join("containerd.toml"), config::containerd(dir, CNI_PLUGINS))?;
        fs::write(dir.join("kubelet.json"), config::kubelet(cgroups.root()).to_string())?;

        let port = cluster.server_address().port().to_string();
        let listen = format!("UNIX-LISTEN:{},fork", dir.join("api.sock").display());
        let connect = format!("TCP:{}", cluster.server_address());
        let relay = start("socat", &[listen, connect], dir, "relay-host.log")?;
        let kubeconfig = cluster.admin_kubeconfig().display().to_string();
        let mut arguments: Vec<String> = "--mount --net --pid --fork --kill-child --mount-proc --propagation private"
            .split(' ')
            .map(str::to_owned)
            .collect();
        arguments.extend(["/bin/sh".to_owned(), dir.join("init.sh").display().to_string()]);
        arguments.extend([dir.display().to_string(), port, kubelet.display().to_string(), kubeconfig]);
        let init = start("unshare", &arguments, dir, "init.log")?;
        let mut node = Self { name: name.to_owned(), init, _relay: relay, _cgroups: cgroups, files };
        node.wait_ready(cluster)?;
        Ok(node)
    }

    /// Name of the Node object.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The end of the logs of the node's programs, for the message of a failed test.
    pub fn logs(&self) -> String {
        let mut logs = String::new();
        for name in ["init", "relay", "containerd", "import", "kubelet"] {
            let log = fs::read(self.files.path().join(format!("{name}.log"))).unwrap_or_default();
            let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(3_000)..]).into_owned();
            let _ = writeln!(logs, "--- {name}\n{tail}");
        }
        logs
    }

    fn wait_ready(&mut self, cluster: &Cluster) -> Result<()> {
        let path = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
        let ready = poll::until("the node becomes ready", READY, || {
            if let Some(status) = self.init.ended() {
                return Some(Err(anyhow::anyhow!("the node ended: {status}")));
            }
            let status = cluster.kubectl(&["get", "node", &self.name, "-o", path]).ok()?;
            (status == "True").then_some(Ok(()))
        });
        match ready {
            Ok(Ok(())) => {}
            Ok(Err(error)) => bail!("{error:#}\n{}", self.logs()),
            Err(error) => bail!("{error}\n{}", self.logs()),
        }
        Ok(())
    }
}

/// Patch of a pod template that puts its pods on a real node: selector and toleration.
pub fn placement() -> serde_json::Value {
    serde_json::json!({
        "nodeSelector": { "node": "real" },
        "tolerations": [{ "key": "node", "value": "real", "effect": "NoSchedule" }],
    })
}

fn start(program: &str, arguments: &[String], dir: &Path, log: &str) -> Result<Process> {
    let path = env::var("PATH").unwrap_or_default();
    let start = Start {
        program: &find(program).with_context(|| format!("{program} is not installed"))?,
        arguments,
        environment: &[("PATH".to_owned(), format!("{path}:/usr/sbin:/sbin")), ("HOME".to_owned(), "/root".to_owned())],
        directory: dir,
    };
    Process::start(&start, &Output::File(&dir.join(log))).with_context(|| format!("{program} does not start"))
}

fn find(program: &str) -> Option<PathBuf> {
    let path = env::var("PATH").unwrap_or_default();
    let directories = path.split(':').chain(["/usr/sbin", "/sbin"]);
    directories.map(|directory| Path::new(directory).join(program)).find(|path| path.is_file())
}
