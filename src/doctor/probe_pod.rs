//! The pod that is created by a server-side dry run. Nothing of it is stored.

use logstream_webhook::PREFIX;
use serde_json::{Value, json};

use super::selector::Labels;

/// A token that no agent has.
pub(super) const TOKEN: &str = "00000000-0000-4000-8000-000000000000";

/// A pod that meets the strictest PodSecurity level, with an agent token or without.
pub(super) fn pod(labels: &Labels, with_token: bool) -> Value {
    let env = if with_token { json!([{ "name": "CODER_AGENT_TOKEN", "value": TOKEN }]) } else { json!([]) };
    let resources = json!({ "cpu": "50m", "memory": "64Mi" });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "generateName": "logstream-doctor-", "labels": labels },
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": "doctor", "image": "doctor", "env": env,
                "resources": { "requests": resources, "limits": resources },
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
            }],
        },
    })
}

/// True if the webhook annotated the pod.
pub(super) fn is_annotated(pod: &Value) -> bool {
    let annotations = pod.pointer("/metadata/annotations").and_then(Value::as_object);
    annotations.is_some_and(|all| all.keys().any(|key| key.starts_with(PREFIX)))
}
