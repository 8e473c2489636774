//! A real node: kubelet, containerd and runc in namespaces of their own, joined to a test [`Cluster`].
//!
//! Mounts, network, processes and sysctls of the machine are not touched; ending one process removes everything. It
//! needs root, Linux with cgroup v1 or v2 hierarchies that can be written, and the programs of [`PROGRAMS`].

mod cgroups;
mod config;
mod image;
pub mod isolation;
mod registry;

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
    tools::installed,
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

/// Deadline for a node to become ready. It takes 2 to 15 s, but tests share the machine with builds.
const READY: Duration = Duration::from_mins(2);

/// The image that `registry.test` and `private.test` have, if there is a registry.
pub const PUBLISHED: &str = "tools/busybox:1";

/// The same image before it is pushed.
const PUSHED: &str = "local.test/tools/busybox:1";

const INIT: &str = include_str!("init.sh");
const RUN: &str = include_str!("run.sh");

/// Runs `run.sh` with the variables of its arguments.
const HERE: &str = r#"for argument in "$@"; do export "$argument"; done; . "$dir/run.sh""#;

/// A running node. Dropping it ends kubelet, containerd and every container, and removes their files and cgroups.
#[derive(Debug)]
pub struct Node {
    name: String,
    // Fields are dropped in order: processes before the cgroups and files they use.
    init: Process,
    _relay: Option<Process>,
    files: Files,
}

/// A node's directory and cgroups.
#[derive(Debug)]
struct Files {
    // Before the directory, to which processes in the cgroups may still write. `None` if another process removes them.
    _cgroups: Option<Cgroups>,
    registry: Option<PathBuf>,
    scratch: Scratch,
}

impl Files {
    fn write(name: &str, images: &[&Path]) -> Result<Self> {
        let scratch = Scratch::create("node")?;
        let dir = scratch.path();
        let (cgroups, root) = if let Some(root) = isolation::cgroup_root() {
            (None, root)
        } else {
            let cgroups = Cgroups::create(name)?;
            let root = cgroups.root().to_owned();
            (Some(cgroups), root)
        };
        fs::create_dir(dir.join("images"))?;
        let busybox = installed("busybox").context("busybox")?;
        image::write(&dir.join("images/busybox.tar"), IMAGE, &busybox)?;
        image::write(&dir.join("images/pause.tar"), config::PAUSE, &busybox)?;
        image::write(&dir.join("images/pushed.tar"), PUSHED, &busybox)?;
        for (number, image) in images.iter().enumerate() {
            std::os::unix::fs::symlink(image, dir.join(format!("images/{number}.tar")))?;
        }
        for (script, text) in [("init.sh", INIT), ("prepare.sh", isolation::PREPARE), ("run.sh", RUN)] {
            fs::write(dir.join(script), text)?;
        }
        fs::create_dir(dir.join("cni"))?;
        fs::write(dir.join("cni/10-pods.conflist"), config::cni().to_string())?;
        fs::write(dir.join("containerd.toml"), config::containerd(dir, CNI_PLUGINS))?;
        fs::write(dir.join("kubelet.json"), config::kubelet(&root).to_string())?;
        registry::write(dir)?;
        Ok(Self { _cgroups: cgroups, registry: registry::program(), scratch })
    }

    /// The variables of `run.sh`, as `NAME=VALUE`.
    fn variables(&self, cluster: &Cluster, name: &str) -> Result<Vec<String>> {
        let kubelet = Tools::ensure(&[Tool::Kubelet])?.path(Tool::Kubelet).to_owned();
        let mut variables = vec![
            format!("dir={}", self.scratch.path().display()),
            format!("name={name}"),
            format!("kubelet={}", kubelet.display()),
            format!("kubeconfig={}", cluster.admin_kubeconfig().display()),
        ];
        if let Some(registry) = &self.registry {
            variables.push(format!("registry={}", registry.display()));
            variables.push(format!("image={PUSHED}"));
            variables.push(format!("pushed={}/{PUBLISHED}", registry::OPEN));
        }
        Ok(variables)
    }
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
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|(program, _)| installed(program).is_none()).collect();
    if let Some((program, package)) = missing.first() {
        return unsupported(format!("{program} is not installed (Debian package {package})"));
    }
    if !Path::new(CNI_PLUGINS).join("bridge").is_file() {
        return unsupported(format!("{CNI_PLUGINS} has no CNI plugins (Debian package containernetworking-plugins)"));
    }
    cgroups::writable().or_else(|problem| unsupported(problem.to_string()))
}

impl Node {
    /// Starts a node of this name in its own namespaces, and waits until the API server reports it as ready. Blocks.
    ///
    /// The node has the label `node=real` and the taint `node=real:NoSchedule`, so that only pods that ask for it run
    /// there. The kubelet is built first if needed (see [`Tools::ensure`]).
    pub fn start(cluster: &Cluster, name: &str) -> Result<Self> {
        supported()?;
        let files = Files::write(name, &[])?;
        let dir = files.scratch.path();
        let listen = format!("UNIX-LISTEN:{},fork", dir.join("api.sock").display());
        let connect = format!("TCP:{}", cluster.server_address());
        let relay = start("socat", &[listen, connect], dir, "relay-host.log")?;
        let script = dir.join("init.sh").display().to_string();
        let mut arguments = isolation::arguments();
        arguments.extend(["/bin/sh".to_owned(), script, format!("port={}", cluster.server_address().port())]);
        arguments.extend(files.variables(cluster, name)?);
        let init = start("unshare", &arguments, dir, "init.log")?;
        Self { name: name.to_owned(), init, _relay: Some(relay), files }.ready(cluster)
    }

    /// Starts a node in the namespaces of [`isolation::run`]: its pods and the control plane reach each other. `images`
    /// are archives of OCI images to import into the node. Otherwise as [`Node::start`].
    pub fn start_here(cluster: &Cluster, name: &str, images: &[&Path]) -> Result<Self> {
        let files = Files::write(name, images)?;
        let dir = files.scratch.path();
        let mut arguments = vec!["-euc".to_owned(), HERE.to_owned(), "sh".to_owned()];
        arguments.extend(files.variables(cluster, name)?);
        let init = start("sh", &arguments, dir, "init.log")?;
        Self { name: name.to_owned(), init, _relay: None, files }.ready(cluster)
    }

    /// Name of the Node object.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The end of the logs of the node's programs, for the message of a failed test.
    pub fn logs(&self) -> String {
        let mut logs = String::new();
        for name in ["init", "relay", "registry", "containerd", "import", "kubelet"] {
            let log = fs::read(self.files.scratch.path().join(format!("{name}.log"))).unwrap_or_default();
            let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(3_000)..]).into_owned();
            let _ = writeln!(logs, "--- {name}\n{tail}");
        }
        logs
    }

    fn ready(mut self, cluster: &Cluster) -> Result<Self> {
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
        Ok(self)
    }
}

/// True if nodes have the local registries `registry.test` (open), `private.test` (login required), `untrusted.test`
/// (unknown CA) and `plain.test` (HTTP instead of HTTPS): `docker-registry` is installed.
pub fn has_registry() -> bool {
    registry::program().is_some()
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
        program: &installed(program).with_context(|| format!("{program} is not installed"))?,
        arguments,
        environment: &[("PATH".to_owned(), format!("{path}:/usr/sbin:/sbin")), ("HOME".to_owned(), "/root".to_owned())],
        directory: dir,
    };
    Process::start(&start, &Output::File(&dir.join(log))).with_context(|| format!("{program} does not start"))
}
