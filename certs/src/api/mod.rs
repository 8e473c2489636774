//! The parts of Secrets and webhook configurations that this crate reads and writes.

mod object;
mod watch;

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) use self::{
    object::{ApiError, Object},
    watch::Watch,
};

/// API path of a namespace's Secrets.
pub(crate) fn secret_path(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets")
}

/// API path of webhook configurations.
pub(crate) const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

/// Object metadata: the fields that this crate uses.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    #[serde(default)]
    pub(crate) resource_version: String,
    #[serde(default)]
    pub(crate) owner_references: Vec<OwnerReference>,
}

impl Metadata {
    /// True if the object has every owner of `owned`.
    pub(crate) fn has_owners_of(&self, owned: &ObjectMeta) -> bool {
        let mut wanted = owned.owner_references.iter().flatten();
        wanted.all(|wanted| self.owner_references.iter().any(|owner| owner.uid == wanted.uid))
    }
}

/// A Secret. No `Debug`: it holds keys.
#[derive(Clone, Deserialize)]
pub(crate) struct Secret {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    pub(crate) data: Option<BTreeMap<String, ByteString>>,
}

/// A `MutatingWebhookConfiguration`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Configuration {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    pub(crate) webhooks: Option<Vec<Webhook>>,
}

/// A webhook of a configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Webhook {
    pub(crate) name: String,
    pub(crate) client_config: ClientConfig,
}

/// Client configuration of a webhook: the address, and the CAs that the API server trusts there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientConfig {
    #[serde(default)]
    pub(crate) ca_bundle: Option<ByteString>,
    #[serde(default)]
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) service: Option<Service>,
}

/// A Service.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) namespace: String,
}

impl Configuration {
    /// Creates a JSON patch that sets caBundles. `wanted` has one entry per webhook, in order; `None` keeps that
    /// caBundle.
    ///
    /// The patch applies only to this resourceVersion of the object and changes nothing else, because other programs
    /// also write the object (AKS rewrites namespaceSelectors).
    pub(crate) fn patch(&self, wanted: &[Option<ByteString>]) -> Value {
        let version =
            json!({ "op": "test", "path": "/metadata/resourceVersion", "value": self.metadata.resource_version });
        let webhooks = self.webhooks.iter().flatten().zip(wanted).enumerate();
        let changes = webhooks.filter_map(|(index, (webhook, wanted))| {
            let bundle = wanted.as_ref()?;
            Some([
                json!({ "op": "test", "path": format!("/webhooks/{index}/name"), "value": webhook.name }),
                json!({ "op": "add", "path": format!("/webhooks/{index}/clientConfig/caBundle"), "value": bundle }),
            ])
        });
        std::iter::once(version).chain(changes.flatten()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_names_the_version_and_touches_ca_bundles_alone() {
        let configuration: Configuration = serde_json::from_value(json!({
            "metadata": { "name": "x", "resourceVersion": "7" },
            "webhooks": [
                { "name": "a", "clientConfig": { "caBundle": "b2xk" }, "namespaceSelector": {} },
                { "name": "b", "clientConfig": { "url": "https://127.0.0.1" } },
            ],
        }))
        .unwrap();
        assert_eq!(
            configuration.patch(&[None, Some(ByteString(b"new".to_vec()))]),
            json!([
                { "op": "test", "path": "/metadata/resourceVersion", "value": "7" },
                { "op": "test", "path": "/webhooks/1/name", "value": "b" },
                { "op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": "bmV3" },
            ])
        );
    }
}
