//! The product's webhook configuration, for a process on this machine.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::Admin;
use crate::cluster::base64;

static NEXT: AtomicU32 = AtomicU32::new(1);

/// What the API server does when the webhook cannot be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Goes on without it, as the chart has it.
    #[default]
    Ignore,
    /// Refuses, which makes a webhook that does not work visible to a test.
    Fail,
}

/// Two webhooks in one configuration, by which the API server asks about pods and about workloads with a token.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    url: String,
    ca_pem: String,
    namespaces: Vec<String>,
    failure_policy: FailurePolicy,
    timeout_seconds: u8,
}

impl WebhookConfig {
    /// For a webhook at `https://127.0.0.1:PORT/mutate` whose certificate `ca_pem` signed, asked about the namespaces
    /// given.
    pub fn new(url: &str, ca_pem: &str, namespaces: &[&str]) -> Self {
        Self {
            url: url.to_owned(),
            ca_pem: ca_pem.to_owned(),
            namespaces: namespaces.iter().map(|&name| name.to_owned()).collect(),
            failure_policy: FailurePolicy::default(),
            timeout_seconds: 2,
        }
    }

    /// What happens when the webhook cannot be asked; [`FailurePolicy::Ignore`] unless told.
    #[must_use]
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.failure_policy = policy;
        self
    }

    /// How long the API server waits for an answer, from 1 to 30 seconds; 2 unless told.
    #[must_use]
    pub fn timeout_seconds(mut self, seconds: u8) -> Self {
        self.timeout_seconds = seconds;
        self
    }

    /// The configuration under a name.
    pub fn object(&self, name: &str) -> Value {
        let webhook = |short: &str, at: &str, rules: Value| {
            json!({
                "name": format!("{short}.logstream.coder.com"),
                "admissionReviewVersions": ["v1"],
                "clientConfig": { "url": self.url, "caBundle": base64(self.ca_pem.as_bytes()) },
                "rules": rules,
                "namespaceSelector": { "matchExpressions": [
                    { "key": "kubernetes.io/metadata.name", "operator": "In", "values": self.namespaces },
                ] },
                "matchConditions": [{ "name": "has-agent-token", "expression": with_token(at) }],
                "failurePolicy": match self.failure_policy {
                    FailurePolicy::Ignore => "Ignore",
                    FailurePolicy::Fail => "Fail",
                },
                "timeoutSeconds": self.timeout_seconds,
                "sideEffects": "NoneOnDryRun",
                "reinvocationPolicy": "IfNeeded",
            })
        };
        let created = |group: &str, resources: &[&str]| {
            json!({
                "apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": resources,
                "scope": "Namespaced",
            })
        };
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": { "name": name },
            "webhooks": [
                webhook("pods", "object.spec", json!([created("", &["pods"])])),
                webhook("workloads", "object.spec.template.spec", json!([
                    created("apps", &["replicasets", "statefulsets"]),
                    created("batch", &["jobs"]),
                ])),
            ],
        })
    }

    /// Creates it under a name no other test has. The API server's webhook informer needs a moment more (see
    /// [`AppliedWebhook`]).
    pub async fn apply(&self, cluster: &impl AsRef<Admin>) -> Result<AppliedWebhook> {
        let name = format!("logstream-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let object: MutatingWebhookConfiguration = serde_json::from_value(self.object(&name))?;
        Api::all(cluster.as_ref().client().await?).create(&PostParams::default(), &object).await?;
        Ok(AppliedWebhook { name, admin: cluster.as_ref().clone() })
    }
}

/// A configuration in force, which is deleted when this is dropped.
///
/// The API server acts on a new configuration within about a second, not at once. To know, create with `dryRun` what
/// the webhook changes until it does.
#[derive(Debug)]
pub struct AppliedWebhook {
    name: String,
    admin: Admin,
}

impl AppliedWebhook {
    /// The configuration's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for AppliedWebhook {
    fn drop(&mut self) {
        let arguments = ["delete", "mutatingwebhookconfiguration", &self.name, "--wait=false"];
        let _ = self.admin.kubectl(&arguments);
    }
}

/// True for a pod spec in which a container may have an agent token.
fn with_token(spec: &str) -> String {
    format!(
        "((has({spec}.initContainers) ? {spec}.initContainers : []) + {spec}.containers).exists(c, has(c.envFrom) || \
         (has(c.env) && c.env.exists(e, e.name in ['CODER_AGENT_TOKEN', 'CODER_AGENT_TOKEN_FILE'])))"
    )
}
