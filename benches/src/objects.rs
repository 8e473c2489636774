//! Objects that the driver writes, as large as real ones.

use jiff::Timestamp;
use serde_json::{Value, json};

/// Identity of a created pod.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

pub(crate) fn pods(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

pub(crate) fn events(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/events")
}

pub(crate) fn replicasets(namespace: &str) -> String {
    format!("/apis/apps/v1/namespaces/{namespace}/replicasets")
}

/// A token of Coder's form.
pub(crate) fn token() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A workspace's pod, as Coder's template makes it: 3 KB as stored, a third of it managedFields.
pub(crate) fn workspace(name: &str, token: &str) -> Value {
    let mut pod = pod(name);
    pod["metadata"]["labels"] = labels(name);
    pod["metadata"]["annotations"] = json!({ "com.coder.user.email": format!("{name}@example.com") });
    pod["spec"]["containers"][0]["env"] = json!([{ "name": "CODER_AGENT_TOKEN", "value": token }, { "name": "CODER_AGENT_URL", "value": "http://coder" }]);
    pod
}

/// A ReplicaSet of a workspace.
pub(crate) fn replicaset(name: &str, token: &str) -> Value {
    let pod = workspace(name, token);
    let labels = &pod["metadata"]["labels"];
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod["spec"] },
        },
    })
}

/// A pod as a ReplicaSet's controller creates it.
pub(crate) fn pod_of(replicaset: &str, uid: &str, name: &str, token: &str) -> Value {
    let mut pod = workspace(name, token);
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": replicaset, "uid": uid,
        "controller": true, "blockOwnerDeletion": true,
    }]);
    pod
}

/// A pod that is not a workspace, of the same size.
pub(crate) fn other_pod(name: &str) -> Value {
    let mut pod = pod(name);
    pod["metadata"]["labels"] = labels(name);
    pod["metadata"]["annotations"] = json!({ "example.com/config-hash": format!("{name}@example.com") });
    pod["spec"]["containers"][0]["env"] = json!([
        { "name": "DATABASE_URL", "value": "postgres://database.example.svc:5432/app" },
        { "name": "LISTEN", "value": "0.0.0.0:8080" },
    ]);
    pod
}

fn labels(name: &str) -> Value {
    json!({
        "app.kubernetes.io/instance": name,
        "com.coder.resource": "true",
        "com.coder.workspace.id": token(),
        "com.coder.workspace.name": name,
        "com.coder.user.username": name,
    })
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name },
        "spec": {
            "securityContext": { "runAsUser": 1000, "fsGroup": 1000, "runAsNonRoot": true },
            "containers": [{
                "name": "dev",
                "image": "ghcr.io/example/workspace:2026.11",
                "imagePullPolicy": "Always",
                "command": ["sh", "-c", "exec ./agent"],
                "resources": {
                    "requests": { "cpu": "250m", "memory": "512Mi" },
                    "limits": { "cpu": "2", "memory": "4Gi" },
                },
                "volumeMounts": [{ "name": "home", "mountPath": "/home/coder" }],
            }],
            "volumes": [{ "name": "home", "emptyDir": {} }],
        },
    })
}

/// An Event of a kubelet about a pod. Its name must be new in the namespace.
#[allow(clippy::disallowed_methods, reason = "Events carry the real time")]
pub(crate) fn event(pod: &Pod, name: &str, message: &str) -> Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": { "name": name },
        "involvedObject": {
            "apiVersion": "v1", "kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid,
        },
        "type": "Normal",
        "reason": "Pulling",
        "message": message,
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "source": { "component": "kubelet", "host": "node-1" },
        "reportingComponent": "kubelet",
        "reportingInstance": "node-1",
    })
}
