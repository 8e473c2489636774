//! Rejected and unschedulable pods: the reason is reported to their owners.

use anyhow::Result;
use k8s_openapi::api::core::v1::{Event, Namespace};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use logstream_testing::{
    Installation, Workspace,
    coder::{Level, Line},
    poll, scenarios,
};
use serde_json::{Value, json};

use crate::{
    events::marker,
    metrics::metric_count,
    support::{PATIENCE, TestContext, once_and_then_counted, only, wait_for_metric},
};

const PODS_SEEN: &str = "admission_reviews_total{kind=\"Pod\",outcome=\"patched\"}";
const QUOTA_EXCEEDED: &str = "exceeded quota: no-pods";
const COLLAPSED: &str = "facts_skipped_total{reason=\"collapsed\"}";

/// Installs the program in a namespace with a quota of no pods.
async fn no_pods(test: &str) -> Result<(TestContext, Installation)> {
    let context = TestContext::new(test).await?;
    let installation = context.install().await?;
    let apply = ["apply", "-n", context.namespace.name(), "-f", "-"];
    context.cluster.kubectl_with(&apply, scenarios::QUOTA)?;
    pods_are_refused(&context, QUOTA_EXCEEDED).await?;
    Ok((context, installation))
}

/// Waits until the API server rejects pods with this reason.
async fn pods_are_refused(context: &TestContext, because: &str) -> Result<()> {
    poll::eventually("pods are refused", PATIENCE, || async {
        let probe = Workspace::new(context.namespace.name(), "probe", "probe", "").pod();
        match context.create(&probe).await {
            Ok(pod) => {
                context.delete(&pod).await.map_err(|error| error.to_string())?;
                Err("a pod was created".to_owned())
            }
            Err(error) if format!("{error:#}").contains(because) => Ok(()),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await
}

/// Asserts one line, then counts, all with advice.
#[track_caller]
fn assert_once_and_then_counted(lines: &[Line]) {
    once_and_then_counted(lines, QUOTA_EXCEEDED);
    for line in lines.iter().filter(|line| line.output.contains(QUOTA_EXCEEDED)) {
        assert_eq!(line.level, Level::Error, "{line:?}");
        assert!(line.output.contains("The namespace's quota \"no-pods\" is used up"), "{line:?}");
    }
}

#[tokio::test]
async fn a_deployment_over_quota_is_one_line_and_then_counted() -> Result<()> {
    let (context, installation) = no_pods("quota-deployment").await?;
    let agent = context.agent();
    context.create(&Workspace::new(context.namespace.name(), "alice", "dev", &agent).deployment()).await?;
    let lines = context.wait_for(&agent, &["🐳 Queued pod from ReplicaSet", " (x"]).await?;
    assert_once_and_then_counted(&lines);
    // All attempts share one pending registration, and the ReplicaSet is already known.
    assert!(metric_count(&installation, PODS_SEEN).await? >= 4);
    assert!(metric_count(&installation, "pending_registrations").await? <= 1);
    Ok(())
}

#[tokio::test]
async fn a_stateful_set_over_quota_is_one_line_and_then_counted() -> Result<()> {
    let (context, _installation) = no_pods("quota-statefulset").await?;
    let agent = context.agent();
    context.create(&Workspace::new(context.namespace.name(), "alice", "dev", &agent).stateful_set()).await?;
    let lines = context.wait_for(&agent, &["🐳 Queued pod from StatefulSet", " (x"]).await?;
    assert_once_and_then_counted(&lines);
    Ok(())
}

#[tokio::test]
async fn a_job_over_quota_is_one_line_for_all_attempts() -> Result<()> {
    let (context, installation) = no_pods("quota-job").await?;
    let agent = context.agent();
    let job = context.create(&Workspace::new(context.namespace.name(), "alice", "dev", &agent).job()).await?;
    context.wait_for(&agent, &["🐳 Queued pod from Job", QUOTA_EXCEEDED]).await?;
    // Its controller backs off: the second attempt comes soon, but the count would come only with the fifth.
    wait_for_metric(&installation, COLLAPSED, |collapsed| collapsed >= 1.0).await?;
    let lines = marker(&context, &agent, &job).await?;
    let refused = only(&lines, QUOTA_EXCEEDED);
    assert!(refused.level == Level::Error && refused.output.contains("is used up"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_missing_service_account_is_named() -> Result<()> {
    let context = TestContext::new("no-account").await?;
    let installation = context.install().await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent).service_account("nobody");
    context.create(&workspace.deployment()).await?;
    context.wait_for(&agent, &["serviceaccount \"nobody\" not found"]).await?;
    wait_for_metric(&installation, COLLAPSED, |collapsed| collapsed >= 3.0).await?;
    let replicaset = context.only("apps/v1", "ReplicaSet").await?;
    let lines = marker(&context, &agent, &replicaset).await?;
    let refused = once_and_then_counted(&lines, "serviceaccount \"nobody\" not found");
    assert_eq!(refused.level, Level::Error);
    assert!(
        refused.output.contains("The ServiceAccount \"nobody\" that the template names does not exist"),
        "{refused:?}"
    );
    // The webhook was not called for the pod: the agent is known from the ReplicaSet.
    assert_eq!(metric_count(&installation, PODS_SEEN).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_pod_security_violation_is_reported_to_the_owner() -> Result<()> {
    let context = TestContext::new("pod-security").await?;
    let _installation = context.install().await?;
    let restricted = json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    namespaces.patch(context.namespace.name(), &PatchParams::default(), &Patch::Merge(&restricted)).await?;
    let violation = "violates PodSecurity \"restricted:latest\"";
    pods_are_refused(&context, violation).await?;
    let agent = context.agent();
    context.create(&Workspace::new(context.namespace.name(), "alice", "dev", &agent).deployment()).await?;
    let lines = context.wait_for(&agent, &[violation]).await?;
    let refused = once_and_then_counted(&lines, violation);
    assert_eq!(refused.level, Level::Error);
    assert!(refused.output.contains("The namespace's security level \"restricted\" does not allow"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn an_unschedulable_pod_is_reported_once_with_the_reason() -> Result<()> {
    let context = TestContext::new("unschedulable").await?;
    let _installation = context.install().await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent).memory("9Ti");
    let deployment = context.create(&workspace.deployment()).await?;
    context.wait_for(&agent, &["Insufficient memory"]).await?;
    let pod = context.only("v1", "Pod").await?;
    // The scheduler reports it as an Event and in the pod's status.
    poll::eventually("an Event and a condition", PATIENCE, || async {
        let pods = context.only("v1", "Pod").await.map_err(|error| error.to_string())?;
        let conditions = &pods.data["status"]["conditions"];
        let unscheduled = |condition: &Value| condition["reason"] == "Unschedulable";
        let in_status = conditions.as_array().is_some_and(|conditions| conditions.iter().any(unscheduled));
        let failed = ListParams::default().fields("reason=FailedScheduling");
        let events = context.api::<Event>().list(&failed).await.map_err(|error| error.to_string())?.items;
        if in_status && !events.is_empty() { Ok(()) } else { Err(format!("{conditions} {}", events.len())) }
    })
    .await?;
    marker(&context, &agent, &pod).await?;
    context.delete(&deployment).await?;
    let lines = context.wait_for(&agent, &["🗑️ Deleted pod"]).await?;
    let line = only(&lines, "0/1 nodes are available: 1 Insufficient memory");
    assert_eq!(line.level, Level::Warn);
    assert!(line.output.contains("1 node has too little free memory"), "{line:?}");
    only(&lines, "🐳 Created pod");
    Ok(())
}
