//! The product's webhook configuration, for a local process.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::Admin;
use crate::cluster::base64;

static NEXT: AtomicU32 = AtomicU32::new(1);

/// The webhook's failure policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Admits the object without the webhook, as in the chart.
    #[default]
    Ignore,
    /// Rejects the object, which makes a failing webhook visible to a test.
    Fail,
}

/// A configuration of two webhooks, for pods and for workloads with a token.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    url: String,
    ca_pem: String,
    namespaces: Vec<String>,
    failure_policy: FailurePolicy,
    timeout_seconds: u8,
}

impl WebhookConfig {
    /// Configures a webhook at `https://127.0.0.1:PORT/mutate`, whose certificate is signed by `ca_pem`, for these
    /// namespaces.
    pub fn new(url: &str, ca_pem: &str, namespaces: &[&str]) -> Self {
        Self {
            url: url.to_owned(),
            ca_pem: ca_pem.to_owned(),
            namespaces: namespaces.iter().map(|&name| name.to_owned()).collect(),
            failure_policy: FailurePolicy::default(),
            timeout_seconds: 2,
        }
    }

    /// Sets the failure policy; the default is [`FailurePolicy::Ignore`].
    #[must_use]
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.failure_policy = policy;
        self
    }

    /// Sets the API server's timeout, from 1 to 30 seconds; the default is 2.
    #[must_use]
    pub fn timeout_seconds(mut self, seconds: u8) -> Self {
        self.timeout_seconds = seconds;
        self
    }

    /// The configuration object with this name.
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

    /// Creates it with a unique name. It takes effect a moment later (see [`AppliedWebhook`]).
    pub async fn apply(&self, cluster: &impl AsRef<Admin>) -> Result<AppliedWebhook> {
        let name = format!("logstream-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let object: MutatingWebhookConfiguration = serde_json::from_value(self.object(&name))?;
        Api::all(cluster.as_ref().client().await?).create(&PostParams::default(), &object).await?;
        Ok(AppliedWebhook { name, admin: cluster.as_ref().clone() })
    }
}

/// A configuration in the cluster, deleted on drop.
///
/// The API server picks up a new configuration within about a second. To wait for that, create an object that the
/// webhook changes by `dryRun` until it does (see [`crate::webhook_probe`]).
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

/// A CEL expression that is true if a container of the pod spec may have an agent token.
fn with_token(spec: &str) -> String {
    format!(
        "((has({spec}.initContainers) ? {spec}.initContainers : []) + {spec}.containers).exists(c, has(c.envFrom) || \
         (has(c.env) && c.env.exists(e, e.name in ['CODER_AGENT_TOKEN', 'CODER_AGENT_TOKEN_FILE'])))"
    )
}
