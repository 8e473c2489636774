//! Common helpers.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
    core::{ApiResource, GroupVersionKind, NamespaceResourceScope, TypeMeta},
};
use logstream_core::token::AgentToken;
use logstream_testing::{
    Cluster, CoderOptions, CoderStandIn, Installation, Plan, TestNamespace,
    coder::{Line, Valid},
    poll,
};
use serde_json::Value;

/// The binary under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_coder-logstream-kube");

/// Deadline of waits. Most take milliseconds, but the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The context of a test: the shared cluster, its own namespace and its own Coder.
pub(crate) struct TestContext {
    pub(crate) cluster: &'static Cluster,
    pub(crate) namespace: TestNamespace,
    pub(crate) client: Client,
    pub(crate) coder: CoderStandIn,
}

impl TestContext {
    pub(crate) async fn new(test: &str) -> Result<Self> {
        let cluster = Cluster::shared_async().await;
        let namespace = TestNamespace::create(cluster, test).await?;
        let client = cluster.admin_client().await?;
        let coder = CoderStandIn::start(CoderOptions::new())?;
        Ok(Self { cluster, namespace, client, coder })
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan::new(PROGRAM, &self.coder.url(), self.namespace.name())
    }

    pub(crate) async fn install(&self) -> Result<Installation> {
        self.plan().install(self.cluster).await
    }

    /// Adds an agent with a valid token to Coder and returns the token.
    pub(crate) fn agent(&self) -> String {
        let token = token();
        self.coder.add_agent(&token, Valid::Now);
        token
    }

    /// The API of a kind in the test's namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// Waits for the only object of a kind in the test's namespace, such as a Deployment's pod.
    pub(crate) async fn only(&self, api_version: &str, kind: &str) -> Result<DynamicObject> {
        self.only_of(api_version, kind, "").await
    }

    /// Waits for the only object of a kind with these labels.
    pub(crate) async fn only_of(&self, api_version: &str, kind: &str, labels: &str) -> Result<DynamicObject> {
        let types = TypeMeta { api_version: api_version.to_owned(), kind: kind.to_owned() };
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), self.namespace.name(), &resource);
        let selected = ListParams::default().labels(labels);
        let mut object = poll::eventually(&format!("one {kind}"), PATIENCE, || async {
            let mut found = api.list(&selected).await.map_err(|error| error.to_string())?.items;
            match (found.pop(), found.len()) {
                (Some(one), 0) => Ok(one),
                (_, others) => Err(format!("{others} others")),
            }
        })
        .await?;
        // Items of a list have no kind.
        object.types = Some(types);
        Ok(object)
    }

    /// Deletes an object and its dependents.
    pub(crate) async fn delete(&self, object: &DynamicObject) -> Result<()> {
        let types = object.types.as_ref().context("a typed object")?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
        let namespace = object.namespace().context("a namespaced object")?;
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &namespace, &resource);
        api.delete(&object.name_any(), &DeleteParams::background()).await?;
        Ok(())
    }

    /// Creates an object in the namespace that its manifest names.
    pub(crate) async fn create(&self, manifest: &Value) -> Result<DynamicObject> {
        create(&self.client, manifest).await
    }

    /// Waits until the agent's log contains each of these texts.
    pub(crate) async fn wait_for(&self, agent: &str, texts: &[&str]) -> Result<Vec<Line>> {
        let all = |lines: &[Line]| texts.iter().all(|text| count(lines, text) > 0);
        match self.coder.wait_for_lines(agent, PATIENCE, all).await {
            Ok(lines) => Ok(lines),
            Err(error) => {
                let arguments = ["get", "pods,events", "-n", self.namespace.name()];
                let there = self.cluster.kubectl(&arguments).unwrap_or_else(|error| error.to_string());
                Err(error).with_context(|| format!("waited for {texts:?}; in the namespace were\n{there}"))
            }
        }
    }
}

/// A new agent token.
pub(crate) fn token() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The fingerprint of a token.
pub(crate) fn fingerprint(token: &str) -> String {
    AgentToken::parse(token).expect("a token").fingerprint().to_string()
}

/// Creates an object in the namespace that its manifest names.
pub(crate) async fn create(client: &Client, manifest: &Value) -> Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(manifest.clone())?;
    let types: TypeMeta = object.types.clone().unwrap_or_default();
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    Ok(api.create(&PostParams::default(), &object).await?)
}

/// A text without colours.
fn plain(text: &str) -> String {
    ["\u{1b}[1m", "\u{1b}[37m", "\u{1b}[0m"].iter().fold(text.to_owned(), |text, code| text.replace(code, ""))
}

/// The texts of lines, without colours.
pub(crate) fn texts(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| plain(&line.output)).collect()
}

/// Number of lines that contain a text.
pub(crate) fn count(lines: &[Line], text: &str) -> usize {
    lines.iter().filter(|line| plain(&line.output).contains(text)).count()
}

/// The only line that contains a text.
#[track_caller]
pub(crate) fn only<'a>(lines: &'a [Line], text: &str) -> &'a Line {
    assert_eq!(count(lines, text), 1, "{text:?} in {:#?}", texts(lines));
    lines.iter().find(|line| plain(&line.output).contains(text)).expect("it was counted")
}

/// The first line that contains a text. Asserts that at most three lines with counts follow: one for a burst, one after
/// ten seconds, and one for held repeats when the object ends.
#[track_caller]
pub(crate) fn once_and_then_counted<'a>(lines: &'a [Line], text: &str) -> &'a Line {
    let found: Vec<_> = lines.iter().filter(|line| plain(&line.output).contains(text)).collect();
    let [first, counts @ ..] = &found[..] else { panic!("{text:?} in {:#?}", texts(lines)) };
    let counted = |line: &Line| line.output.contains(" (x");
    assert!(!counted(first) && counts.len() <= 3 && counts.iter().all(|line| counted(line)), "{found:#?}");
    first
}

/// Waits until a metric satisfies `wanted`. `name` is as for [`metric`].
pub(crate) async fn wait_for_metric(
    installation: &Installation,
    name: &str,
    wanted: impl Fn(f64) -> bool,
) -> Result<f64> {
    poll::eventually(name, PATIENCE, || async {
        let value = metric(installation, name).await.map_err(|error| error.to_string())?;
        if wanted(value) { Ok(value) } else { Err(value.to_string()) }
    })
    .await
}

/// Reads a metric. `name` has no common prefix; without labels, it is the sum over all series.
pub(crate) async fn metric(installation: &Installation, name: &str) -> Result<f64> {
    let name = format!("coder_logstream_{name}");
    let metrics = installation.metrics().await?;
    if name.contains('{') {
        metrics.get(&name).with_context(|| format!("no metric {name}"))
    } else {
        Ok(metrics.sum(&name))
    }
}
