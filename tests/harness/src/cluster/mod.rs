//! A real control plane on loopback, with a node simulated by kwok.

mod admin;
mod component;
mod kubeconfig;
mod layout;
mod namespace;
mod node;
mod options;
mod ready;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub use admin::Admin;
pub(crate) use kubeconfig::base64;
pub(crate) use layout::SERVICE_IP;
pub use namespace::TestNamespace;
pub use options::{ClusterOptions, Components};

use crate::scratch::Scratch;
use crate::tools::{Tool, Tools};
use crate::{FaultProxy, pki, ports};
use component::Component;
use layout::Layout;

/// Deadline of a start. It takes about 5 s on two idle cores, but tests share the machine with builds.
const START: Duration = Duration::from_mins(2);

/// Timeout of one kubectl call, so that cleanup in `Drop` does not wait long for a dead API server.
const CALL: &str = "--request-timeout=30s";

/// A running control plane. It is removed when dropped or when this process ends.
#[derive(Debug)]
pub struct Cluster {
    // Before `layout`: fields are dropped in order, and the processes write to its directory.
    processes: Mutex<Processes>,
    layout: Layout,
    tools: Tools,
    options: ClusterOptions,
    admin: Admin,
}

#[derive(Debug)]
struct Processes {
    // In the order of shutdown: clients first.
    clients: Vec<Component>,
    apiserver: Component,
    etcd: Component,
}

impl Cluster {
    /// Starts a control plane and waits until it is ready. Blocks; use `spawn_blocking` in async code.
    ///
    /// Missing tools are installed first (see [`Tools::ensure`]).
    pub fn start(options: ClusterOptions) -> Result<Self> {
        let tools = Tools::ensure(&Tool::CLUSTER)?;
        Self::start_with(tools, options)
    }

    /// As [`Cluster::start`], with installed tools.
    pub fn start_with(tools: Tools, options: ClusterOptions) -> Result<Self> {
        pki::install_crypto_provider();
        let layout = Layout::create(Scratch::create("cluster")?, &options)?;
        let etcd = Component::start(component::etcd(&layout), &tools, &layout)?;
        let apiserver = Component::start(component::apiserver(&layout, &options), &tools, &layout)?;
        let processes = Mutex::new(Processes { clients: Vec::new(), apiserver, etcd });
        let admin = Admin::new(layout.admin_kubeconfig(), tools.path(Tool::Kubectl), layout.directory());
        let cluster = Self { processes, layout, tools, options, admin };
        cluster.wait_ready(START)?;
        cluster.start_clients()?;
        Ok(cluster)
    }

    /// One full cluster shared by all tests of a process, started on first use.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(ClusterOptions::default()).expect("the shared cluster starts"))
    }

    /// [`Cluster::shared`] for async code, without blocking it.
    pub async fn shared_async() -> &'static Self {
        tokio::task::spawn_blocking(Self::shared).await.expect("the shared cluster starts")
    }

    /// `https://127.0.0.1:PORT`
    pub fn server_url(&self) -> String {
        format!("https://{}", self.layout.apiserver)
    }

    /// Address of the API server: the upstream of a [`crate::FaultProxy`], whose address its certificate covers too.
    pub fn server_address(&self) -> SocketAddr {
        self.layout.apiserver
    }

    /// The CA that signed the API server's certificate.
    pub fn ca_pem(&self) -> &str {
        &self.layout.serving.ca
    }

    /// Path of an admin kubeconfig.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.layout.admin_kubeconfig()
    }

    /// Writes a kubeconfig for a token as `NAME.kubeconfig` into the cluster's directory.
    pub fn kubeconfig_for_token(&self, name: &str, token: &str) -> Result<PathBuf> {
        self.admin.kubeconfig_for_token(name, token)
    }

    /// As [`Cluster::kubeconfig_for_token`], with another server URL on 127.0.0.1, such as a proxy's.
    pub fn kubeconfig_via(&self, server: &str, name: &str, token: &str) -> Result<PathBuf> {
        self.admin.kubeconfig_via(server, name, token)
    }

    /// An admin token.
    pub fn admin_token(&self) -> &str {
        &self.layout.admin_token
    }

    /// The cluster's directory: its components' logs, audit log and keys. Removed with the cluster.
    pub fn directory(&self) -> &Path {
        self.layout.directory()
    }

    /// Path of a tool.
    pub fn tool(&self, tool: Tool) -> PathBuf {
        self.tools.path(tool).to_owned()
    }

    /// Runs kubectl as admin and returns its output.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.admin.kubectl(arguments)
    }

    /// Runs kubectl as admin with input on stdin, as for `["apply", "-f", "-"]`.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        self.admin.kubectl_with(arguments, input)
    }

    /// Creates an admin client, bound to the current runtime.
    pub async fn admin_client(&self) -> Result<kube::Client> {
        self.admin.client().await
    }

    /// Creates a client for a token.
    pub async fn client_for_token(&self, token: &str) -> Result<kube::Client> {
        kubeconfig::client(&self.server_url(), self.ca_pem(), token).await
    }

    /// Kills the API server.
    pub fn stop_apiserver(&self) {
        self.processes().apiserver.kill();
    }

    /// Restarts a stopped API server on the same port and waits until it is ready.
    pub fn start_apiserver(&self) -> Result<()> {
        let start = component::apiserver(&self.layout, &self.options);
        self.processes().apiserver = Component::start(start, &self.tools, &self.layout)?;
        self.wait_ready(START)
    }

    /// [`Cluster::stop_apiserver`], then [`Cluster::start_apiserver`].
    pub fn restart_apiserver(&self) -> Result<()> {
        self.stop_apiserver();
        self.start_apiserver()
    }

    /// Stops the API server's process (SIGSTOP), or continues it.
    pub fn pause_apiserver(&self, pause: bool) {
        self.processes().apiserver.pause(pause);
    }

    /// Removes etcd's history up to now. The API server's cache keeps its own until a restart.
    pub async fn compact(&self) -> Result<()> {
        #[derive(serde::Deserialize)]
        struct Range {
            header: Header,
        }
        #[derive(serde::Deserialize)]
        struct Header {
            revision: String,
        }
        let http = reqwest::Client::new();
        let etcd = format!("http://{}/v3/kv", self.layout.etcd_client);
        let post = async |operation: &str, body: serde_json::Value| {
            let request = http.post(format!("{etcd}/{operation}")).body(body.to_string());
            anyhow::Ok(request.send().await?.error_for_status()?.text().await?)
        };
        let range: Range = serde_json::from_str(&post("range", serde_json::json!({ "key": "AA==" })).await?)?;
        post("compaction", serde_json::json!({ "revision": range.header.revision })).await?;
        Ok(())
    }

    /// Starts another API server on the same etcd and waits until it is ready. Blocks. It has its own cache of these
    /// resources, such as `/pods` or `apps/replicasets`, which [`AnotherApiServer::lag`] can make lag.
    pub fn another_apiserver(&self, resources: &[&str]) -> Result<AnotherApiServer> {
        let address = ports::free();
        let etcd = FaultProxy::start(self.layout.etcd_client)?;
        let launch = component::another_apiserver(&self.layout, &self.options, address, resources, etcd.address());
        let mut component = Component::start(launch, &self.tools, &self.layout)?;
        ready::apiserver(&self.layout, address, START, &mut || component.check_alive())
            .with_context(|| component.log_tail())?;
        Ok(AnotherApiServer { address, etcd, component })
    }

    /// The process ID of the API server. It changes with a restart.
    pub fn apiserver_pid(&self) -> u32 {
        self.processes().apiserver.pid()
    }

    /// The process IDs of all components.
    pub fn pids(&self) -> Vec<u32> {
        let processes = self.processes();
        let first = [&processes.etcd, &processes.apiserver];
        first.into_iter().chain(&processes.clients).map(Component::pid).collect()
    }

    fn wait_ready(&self, deadline: Duration) -> Result<()> {
        ready::apiserver(&self.layout, self.layout.apiserver, deadline, &mut || {
            let mut processes = self.processes();
            processes.etcd.check_alive()?;
            processes.apiserver.check_alive()
        })
        .with_context(|| {
            let processes = self.processes();
            format!("the API server is not ready\n{}\n{}", processes.etcd.log_tail(), processes.apiserver.log_tail())
        })
    }

    fn start_clients(&self) -> Result<()> {
        if self.options.components == Components::ControlPlane {
            return Ok(());
        }
        let starts = [
            component::controller_manager(&self.layout, &self.options),
            component::scheduler(&self.layout)?,
            component::kwok(&self.layout),
        ];
        for start in starts {
            let component = Component::start(start, &self.tools, &self.layout)?;
            self.processes().clients.push(component);
        }
        self.kubectl_with(&["apply", "-f", "-"], node::MANIFEST)?;
        ready::workloads(&self.layout, START, &mut || {
            let mut processes = self.processes();
            processes.clients.iter_mut().try_for_each(Component::check_alive)
        })
        .with_context(|| {
            let processes = self.processes();
            let tails = processes.clients.iter().map(Component::log_tail).collect::<Vec<_>>();
            format!("the controllers do not work\n{}", tails.join("\n"))
        })
    }

    fn processes(&self) -> MutexGuard<'_, Processes> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another API server of a cluster. Ends when dropped.
#[derive(Debug)]
pub struct AnotherApiServer {
    address: SocketAddr,
    etcd: FaultProxy,
    component: Component,
}

impl AnotherApiServer {
    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds back changes of its resources in etcd, or lets them through.
    pub fn lag(&self, lag: bool) {
        self.etcd.stall(lag);
    }
}

impl Drop for AnotherApiServer {
    fn drop(&mut self) {
        self.component.kill();
    }
}

impl AsRef<Admin> for Cluster {
    fn as_ref(&self) -> &Admin {
        &self.admin
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for client in &mut self.clients {
            client.kill();
        }
        self.apiserver.kill();
        self.etcd.kill();
    }
}

/// Runs kubectl and returns its output.
pub(crate) fn kubectl(program: &Path, kubeconfig: &Path, arguments: &[&str], input: Option<&str>) -> Result<String> {
    use std::io::Write;
    use std::process::Stdio;

    let mut child = Command::new(program)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .arg(CALL)
        .args(arguments)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("kubectl does not start")?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // A kubectl that fails early reads nothing; its own error is more useful than the broken pipe.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("kubectl {}: {}\n{stderr}", arguments.join(" "), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
