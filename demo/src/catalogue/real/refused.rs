//! Scenarios in which the API server rejects the pod.

use serde_json::{Value, json};

use super::{Names, Script, container, resources};

pub(super) fn script(id: &str, names: &Names) -> Option<Script> {
    Some(match id {
        "quota_exceeded" => Script::new(json!({})).with(quota(&json!({ "pods": "0" }))),
        "quota_needs_resources" => Script::new(no_resources()).with(quota(&json!({ "limits.cpu": "10" }))),
        "limit_range_max" => Script::new(json!({})).with(limits(&json!({ "max": { "memory": "100Mi" } }))),
        "limit_range_min" => Script::new(json!({})).with(limits(&json!({ "min": { "cpu": "1" } }))),
        "limit_range_ratio" => Script::new(json!({})).with(limits(&json!({ "maxLimitRequestRatio": { "cpu": "2" } }))),
        "request_above_limit" => {
            Script::new(resources(&json!({ "cpu": null, "memory": "4Gi" }), &json!({ "cpu": null, "memory": null })))
                .with(limits(&json!({ "default": { "memory": "512Mi" } })))
        }
        "pod_security" => Script::new(json!({}))
            .namespace(json!({ "labels": { "pod-security.kubernetes.io/enforce": "restricted" } })),
        "service_account_missing" => Script::new(json!({ "serviceAccountName": "workspace" })),
        "service_account_secret" => service_account_secret(),
        "priority_class_missing" => Script::new(json!({ "priorityClassName": "workspaces" })),
        "runtime_class_missing" => Script::new(json!({ "runtimeClassName": "sysbox-runc" })),
        "policy_validating" => validating_policy(names),
        "webhook_unavailable" => webhook(names),
        _ => return None,
    })
}

fn no_resources() -> Value {
    container(&json!({ "resources": null }))
}

fn quota(hard: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "team" }, "spec": { "hard": hard } })
}

fn limits(limit: &Value) -> Value {
    let mut limit = limit.clone();
    limit["type"] = "Container".into();
    json!({ "apiVersion": "v1", "kind": "LimitRange", "metadata": { "name": "sizes" }, "spec": { "limits": [limit] } })
}

fn service_account_secret() -> Script {
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": "workspace", "annotations": { "kubernetes.io/enforce-mountable-secrets": "true" } },
    });
    let volumes = json!([{ "name": "home", "emptyDir": null, "secret": { "secretName": "keys" } }]);
    Script::new(json!({ "serviceAccountName": "workspace", "volumes": volumes })).with(account)
}

fn only_in(names: &Names) -> Value {
    json!({ "matchLabels": { "kubernetes.io/metadata.name": names.namespace } })
}

fn validating_policy(names: &Names) -> Script {
    let rule = json!({ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] });
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": names.own },
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": { "namespaceSelector": only_in(names), "resourceRules": [rule] },
            "validations": [{ "expression": "has(object.metadata.labels) && 'team' in object.metadata.labels",
                "message": "a pod needs the label team" }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": names.own },
        "spec": { "policyName": names.own, "validationActions": ["Deny"] },
    });
    Script::new(json!({})).with(policy).with(binding)
}

/// A webhook on a port where nothing listens.
fn webhook(names: &Names) -> Script {
    let rule = json!({ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] });
    let webhook = json!({
        "name": "pods.example.com", "failurePolicy": "Fail", "sideEffects": "None", "timeoutSeconds": 1,
        "admissionReviewVersions": ["v1"], "clientConfig": { "url": "https://127.0.0.1:9/validate" },
        "namespaceSelector": only_in(names), "rules": [rule],
    });
    Script::new(json!({})).with(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": names.own }, "webhooks": [webhook],
    }))
}
