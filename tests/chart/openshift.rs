//! A cluster that assigns the user of each pod, like `OpenShift`'s SCC restricted-v2.

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use logstream_testing::poll;
use serde_json::json;

use crate::context::{PATIENCE, TestContext};

/// The part of restricted-v2 that rejects usual defaults: a user or group outside the namespace's range, and settings
/// that the level restricted does not allow.
const REFUSED: &str = "object.spec.containers.all(c, !has(c.securityContext) || \
    (!has(c.securityContext.runAsUser) || (c.securityContext.runAsUser >= 1000680000 && \
    c.securityContext.runAsUser <= 1000689999)) && \
    !(has(c.securityContext.privileged) && c.securityContext.privileged)) && \
    (!has(object.spec.securityContext) || (!has(object.spec.securityContext.runAsUser) && \
    (!has(object.spec.securityContext.fsGroup) || (object.spec.securityContext.fsGroup >= 1000680000 && \
    object.spec.securityContext.fsGroup <= 1000689999)))) && \
    (!has(object.spec.hostNetwork) || !object.spec.hostNetwork)";

/// Applies the policy to one namespace, and waits until a pod with the user 65532 is rejected.
async fn restrict_users(context: &TestContext) -> Result<()> {
    let home = context.home.name();
    let policy = json!({
        "apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
                "metadata": { "name": format!("restricted-v2.{home}") },
                "spec": {
                    "failurePolicy": "Fail",
                    "matchConstraints": { "resourceRules": [{
                        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
                    }]},
                    "validations": [{ "expression": REFUSED, "message": "must be in the ranges" }],
                },
            },
            {
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
                "metadata": { "name": format!("restricted-v2.{home}") },
                "spec": {
                    "policyName": format!("restricted-v2.{home}"),
                    "validationActions": ["Deny"],
                    "matchResources": { "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": home } } },
                },
            },
        ],
    });
    context.cluster.kubectl_with(&["apply", "-f", "-"], &policy.to_string())?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "probe", "namespace": home },
        "spec": { "containers": [{ "name": "a", "image": "a", "securityContext": { "runAsUser": 65532 } }] },
    });
    poll::eventually("a fixed user is refused", PATIENCE, || async {
        match context.cluster.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &pod.to_string()) {
            Err(error) if error.to_string().contains("must be in the ranges") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

#[tokio::test]
async fn pods_are_admitted_where_the_cluster_chooses_their_user() -> Result<()> {
    let context = TestContext::new("openshift").await?;
    let home = context.home.name();
    restrict_users(&context).await?;
    context.release.install(&context.values(json!({})), &[]).await?;
    let deployments: Api<Deployment> = Api::namespaced(context.client.clone(), home);
    poll::eventually("the Deployment has its pods", PATIENCE, || async {
        let deployment = deployments.get(&context.release.full_name()).await.map_err(|error| error.to_string())?;
        let status = deployment.status.unwrap_or_default();
        if status.replicas == Some(2) { Ok(()) } else { Err(format!("{:?}", status.conditions)) }
    })
    .await?;
    let rendered = context
        .release
        .template(&json!({ "url": "https://coder.example.com" }), &["--api-versions", "security.openshift.io/v1"])
        .await?;
    ensure!(!rendered.contains("runAsUser") && rendered.contains("runAsNonRoot: true"), "{rendered}");
    context.release.uninstall().await
}
