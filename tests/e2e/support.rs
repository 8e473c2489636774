//! What the tests have in common.

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

/// Anything that should happen does so in milliseconds; a machine that also compiles may need this long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A cluster, a namespace of the test's own, and a Coder.
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

    /// A token that Coder knows from now on.
    pub(crate) fn agent(&self) -> String {
        let token = token();
        self.coder.add_agent(&token, Valid::Now);
        token
    }

    /// The objects of a kind in the test's namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// The only object of a kind in the test's namespace, such as the pod that a Deployment has made, once it is there.
    pub(crate) async fn only(&self, api_version: &str, kind: &str) -> Result<DynamicObject> {
        self.only_of(api_version, kind, "").await
    }

    /// The only one with these labels.
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
        // An item of a list does not say its kind.
        object.types = Some(types);
        Ok(object)
    }

    /// Deletes an object, and lets Kubernetes delete what it made.
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

    /// Waits until each of these texts stands in a line of the agent's log.
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

/// A token of Coder's form that nobody else has.
pub(crate) fn token() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// What people see of a token.
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

/// How many lines hold a text.
pub(crate) fn count(lines: &[Line], text: &str) -> usize {
    lines.iter().filter(|line| plain(&line.output).contains(text)).count()
}

/// The one line that holds a text.
#[track_caller]
pub(crate) fn only<'a>(lines: &'a [Line], text: &str) -> &'a Line {
    assert_eq!(count(lines, text), 1, "{text:?} in {:#?}", texts(lines));
    lines.iter().find(|line| plain(&line.output).contains(text)).expect("it was counted")
}

/// The first line that holds a text. Of the repeats at most three were told, as counts: one for a burst, one when ten
/// seconds had passed, and what was held back at the object's end.
#[track_caller]
pub(crate) fn once_and_then_counted<'a>(lines: &'a [Line], text: &str) -> &'a Line {
    let told: Vec<_> = lines.iter().filter(|line| plain(&line.output).contains(text)).collect();
    let [first, counts @ ..] = &told[..] else { panic!("{text:?} in {:#?}", texts(lines)) };
    let counted = |line: &Line| line.output.contains(" (x");
    assert!(!counted(first) && counts.len() <= 3 && counts.iter().all(|line| counted(line)), "{told:#?}");
    first
}

/// Waits until a sum of the program's counters is as wanted; `name` without the common prefix, labels or none.
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

/// One of the program's figures, without the common prefix; without labels the sum over all.
pub(crate) async fn metric(installation: &Installation, name: &str) -> Result<f64> {
    let name = format!("coder_logstream_{name}");
    let metrics = installation.metrics().await?;
    if name.contains('{') {
        metrics.get(&name).with_context(|| format!("no metric {name}"))
    } else {
        Ok(metrics.sum(&name))
    }
}

/// A figure that counts something.
#[expect(clippy::cast_possible_truncation, reason = "a count")]
pub(crate) async fn counted(installation: &Installation, name: &str) -> Result<i64> {
    Ok(metric(installation, name).await?.round() as i64)
}
