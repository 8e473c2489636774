//! The pods that exist now.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use logstream_core::{
    extract::{self, Reference, TokenSource},
    object::PodSpec,
};
use logstream_webhook::REGISTRATION;
use serde::Deserialize;

use super::{
    access::Access,
    api::{Api, ApiError, encoded},
    context::Context,
    selector::Labels,
};

/// The watched pods that exist now.
#[derive(Clone, Debug, Default)]
pub(super) struct Workspaces {
    /// Pods with an agent.
    pub(super) pods: Vec<WorkspacePod>,
    /// The last change of each watched pod, with an agent or without.
    pub(super) changes: Vec<Change>,
}

/// A pod with an agent.
#[derive(Clone, Debug)]
pub(super) struct WorkspacePod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) created: Option<Timestamp>,
    pub(super) labels: Labels,
    /// The webhook has seen it.
    pub(super) is_annotated: bool,
    /// The token of at least one agent is in the spec.
    pub(super) has_plain_token: bool,
    /// Secrets and ConfigMaps that hold tokens which are not in the spec. Objects that only may hold one (`envFrom`)
    /// are not included.
    pub(super) references: Vec<Reference>,
}

/// The last change of a pod.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) revision: u64,
    pub(super) at: Timestamp,
}

/// A pod as the API server lists it. Environment variables other than the token's are dropped while it is decoded.
#[derive(Deserialize)]
struct Item {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: PodSpec,
}

impl Context {
    /// The watched pods, listed once.
    pub(super) async fn workspaces(&self) -> Result<&Workspaces, ApiError> {
        let listed = self.workspaces.get_or_init(|| list(self)).await;
        listed.as_ref().map_err(Clone::clone)
    }
}

async fn list(context: &Context) -> Result<Workspaces, ApiError> {
    let field = context.config.settings.field_selector.as_ref().map(ToString::to_string).unwrap_or_default();
    let label = context.config.settings.label_selector.as_ref().map(ToString::to_string).unwrap_or_default();
    let query = encoded(&[("fieldSelector", &field), ("labelSelector", &label)]);
    let mut workspaces = Workspaces::default();
    for namespace in context.scopes() {
        for item in page(&context.api, namespace, &query).await? {
            workspaces.add(item);
        }
    }
    Ok(workspaces)
}

async fn page(api: &Api, namespace: Option<&str>, query: &str) -> Result<Vec<Item>, ApiError> {
    api.list(&Access::new("list", "", "pods").within(namespace), query).await
}

impl Workspaces {
    fn add(&mut self, item: Item) {
        let Item { metadata, spec } = item;
        let (namespace, name) =
            (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
        let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
        let written =
            metadata.managed_fields.iter().flatten().filter_map(|entry| entry.time.as_ref()).map(|time| time.0);
        let deleted = metadata.deletion_timestamp.as_ref().map(|time| time.0);
        if let (Some(at), Some(revision)) = (
            written.chain(created).chain(deleted).max(),
            metadata.resource_version.as_deref().and_then(|version| version.parse().ok()),
        ) {
            self.changes.push(Change { namespace: namespace.clone(), name: name.clone(), revision, at });
        }
        let agents = extract::agents(&spec).agents;
        let is_certain = |source: &TokenSource| match source {
            TokenSource::Value(_) => true,
            TokenSource::Reference(references) => references.iter().any(|reference| !reference.whole),
        };
        if !agents.iter().any(|agent| is_certain(&agent.source)) {
            return;
        }
        let references = agents.iter().filter_map(|agent| match &agent.source {
            TokenSource::Reference(references) => Some(references.iter().filter(|reference| !reference.whole)),
            TokenSource::Value(_) => None,
        });
        self.pods.push(WorkspacePod {
            namespace,
            name,
            created,
            is_annotated: metadata.annotations.iter().flatten().any(|(key, _)| key == REGISTRATION),
            labels: metadata.labels.unwrap_or_default(),
            has_plain_token: agents.iter().any(|agent| matches!(agent.source, TokenSource::Value(_))),
            references: references.flatten().cloned().collect(),
        });
    }
}
