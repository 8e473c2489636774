//! The chart on a real node: the program as a pod, from an image built from this source.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, PostParams},
};
use logstream_testing::{
    Cluster, ClusterOptions, CoderOptions, CoderStandIn, Node, Release, TestNamespace, Tool, Tools,
    coder::{Line, Valid},
    installation::SEEN_BY_WEBHOOK,
    node::{self, isolation},
    poll,
    release::Helm,
    tools,
};
use serde_json::{Value, json};

use crate::TURN;

const TEST: &str = "chart::the_program_runs_as_a_pod_of_the_chart";

/// Deadline of the isolated test. Includes the start of the cluster and two rollouts.
const ISOLATED: Duration = Duration::from_mins(8);

const PATIENCE: Duration = Duration::from_mins(2);

const NAME: &str = "logs";
const IMAGE: &str = "docker.io/library/coder-logstream-kube";
const TAG: &str = "test";

/// Number of workspaces created while the program's pods are replaced.
const DURING_ROLLOUT: usize = 12;

#[test]
fn the_program_runs_as_a_pod_of_the_chart() -> Result<()> {
    if isolation::entered() {
        return tokio::runtime::Runtime::new()?.block_on(in_the_nodes_network());
    }
    if let Err(reason) = node::supported().map_err(|reason| reason.to_string()).and_then(|()| builds_images()) {
        writeln!(io::stderr(), "skipped: {reason}")?;
        return Ok(());
    }
    build_image()?;
    let _turn = TURN.blocking_lock();
    let tools = [&Tool::CLUSTER[..], &[Tool::Kubelet, Tool::Helm]].concat();
    isolation::run(TEST, &tools, ISOLATED)
}

/// The architecture's name in images and its C compiler.
fn architecture() -> (&'static str, &'static str) {
    if cfg!(target_arch = "aarch64") { ("arm64", "aarch64-linux-gnu-gcc") } else { ("amd64", "x86_64-linux-gnu-gcc") }
}

fn builds_images() -> Result<(), String> {
    for (program, package) in [(architecture().1, "gcc"), ("python3", "python3")] {
        if tools::installed(program).is_none() {
            return Err(format!("no image can be built here: {program} is not installed (Debian package {package})"));
        }
    }
    Ok(())
}

fn build_image() -> Result<()> {
    let (architecture, _) = architecture();
    run("packaging/build", &[architecture])?;
    run("packaging/image.py", &["archive", architecture, "--name", IMAGE, "--tag", TAG])
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output =
        Command::new(root.join(program)).args(arguments).current_dir(root).output().context(program.to_owned())?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn archive() -> PathBuf {
    let version = env!("CARGO_PKG_VERSION");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("dist/coder-logstream-kube-{version}-image.tar"))
}

async fn in_the_nodes_network() -> Result<()> {
    let (cluster, node) = tokio::task::spawn_blocking(|| -> Result<_> {
        // The API server calls the webhook at the pods' addresses, as there is no kube-proxy.
        let cluster = Cluster::start(ClusterOptions::new().apiserver_argument("--enable-aggregator-routing=true"))?;
        let node = Node::start_here(&cluster, "real-1", &[&archive()])?;
        Ok((cluster, node))
    })
    .await??;
    let _service = isolation::expose_kubernetes(&cluster)?;
    let coder = CoderStandIn::start(CoderOptions::new())?;
    let (address, _relay) = isolation::expose(coder.address(), cluster.directory())?;
    let restricted = [("pod-security.kubernetes.io/enforce", "restricted")];
    let home = TestNamespace::create_labelled(&cluster, "home", &restricted).await?;
    let workspaces = TestNamespace::create(&cluster, "workspaces").await?;
    let release = Release::new(&cluster, NAME, home.name())?;
    let test =
        Test { cluster: &cluster, client: cluster.admin_client().await?, coder: &coder, workspaces: workspaces.name() };

    let result = test.run(&release, &format!("http://{address}")).await;
    result.with_context(|| format!("{}\n{}", test.state(home.name()), node.logs()))
}

struct Test<'a> {
    cluster: &'a Cluster,
    client: Client,
    coder: &'a CoderStandIn,
    workspaces: &'a str,
}

impl Test<'_> {
    async fn run(&self, release: &Release, coder: &str) -> Result<()> {
        let mut values = node::placement();
        values["url"] = coder.into();
        values["namespaces"] = json!([self.workspaces]);
        values["image"] = json!({ "repo": IMAGE, "tag": TAG, "pullPolicy": "Never" });
        release.install(&values, &["--wait", "--timeout=2m"]).await?;
        let helm = Helm::new(Tools::ensure(&[Tool::Helm])?.path(Tool::Helm), &self.cluster.admin_kubeconfig())?;
        helm.run(&["test", NAME, "--namespace", release.namespace(), "--timeout=3m"]).await.context("helm test")?;

        let killed = self
            .create(
                "killed",
                &json!({
                    "command": ["tail", "/dev/zero"], "resources": { "limits": { "memory": "32Mi" } },
                }),
            )
            .await?;
        self.wait_for(&killed, &["Created pod", "OOMKilled", "32Mi"]).await?;
        self.during_a_rollout(release).await?;
        release.uninstall().await
    }

    /// Every workspace that is created while all pods of the program are replaced is annotated and reported.
    async fn during_a_rollout(&self, release: &Release) -> Result<()> {
        let deployment = format!("deployment/{}", release.full_name());
        let namespace = release.namespace();
        self.cluster.kubectl(&["rollout", "restart", &deployment, "--namespace", namespace])?;
        let mut agents = Vec::new();
        for number in 0..DURING_ROLLOUT {
            let name = format!("rolling-{number}");
            agents.push(self.create(&name, &json!({ "command": ["sleep", "3600"] })).await?);
            self.wait_for_pod(&name).await?;
        }
        self.cluster.kubectl(&["rollout", "status", &deployment, "--namespace", namespace, "--timeout=2m"])?;
        for agent in &agents {
            self.wait_for(agent, &["Created pod", "Container started"]).await?;
        }
        let pods = self.pods().list(&ListParams::default()).await?;
        for pod in &pods {
            ensure!(pod.annotations().contains_key(SEEN_BY_WEBHOOK), "the webhook did not see {}", pod.name_any());
        }
        ensure!(pods.items.len() > DURING_ROLLOUT, "{} pods", pods.items.len());
        Ok(())
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), self.workspaces)
    }

    async fn wait_for_pod(&self, name: &str) -> Result<()> {
        let running = || async {
            let phase = self.pods().get(name).await?.status.and_then(|status| status.phase);
            ensure!(phase.as_deref() == Some("Running"), "{name} is {phase:?}");
            anyhow::Ok(())
        };
        poll::eventually(name, PATIENCE, running).await
    }

    /// Creates a workspace pod on the real node and returns its agent's token.
    async fn create(&self, name: &str, container: &Value) -> Result<String> {
        let token = uuid::Uuid::new_v4().to_string();
        self.coder.add_agent(&token, Valid::Now);
        let mut container = container.clone();
        container["name"] = "dev".into();
        container["image"] = node::IMAGE.into();
        container["env"] = json!([{ "name": "CODER_AGENT_TOKEN", "value": token }]);
        let mut spec = node::placement();
        spec["containers"] = json!([container]);
        spec["terminationGracePeriodSeconds"] = json!(1);
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec });
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        Ok(token)
    }

    async fn wait_for(&self, agent: &str, texts: &[&str]) -> Result<()> {
        let has = |lines: &[Line]| texts.iter().all(|text| lines.iter().any(|line| line.plain().contains(text)));
        self.coder.wait_for_lines(agent, PATIENCE, has).await?;
        Ok(())
    }

    /// The program's pods and their logs, for the message of a failed test.
    fn state(&self, namespace: &str) -> String {
        let describe = self.cluster.kubectl(&["describe", "pods", "--namespace", namespace]);
        let label = "app.kubernetes.io/managed-by=Helm";
        let logs =
            self.cluster.kubectl(&["logs", "--namespace", namespace, "--selector", label, "--tail=60", "--prefix"]);
        format!(
            "{}\n{}",
            describe.unwrap_or_else(|error| error.to_string()),
            logs.unwrap_or_else(|error| error.to_string())
        )
    }
}
