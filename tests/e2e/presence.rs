//! Pods that are selected later or no longer selected, and Events with wrong references.
#![expect(clippy::disallowed_methods, reason = "Events carry the real time")]

use anyhow::Result;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use logstream_testing::{Installation, Plan, TestNamespace, Workspace, coder::Line};
use serde_json::{Value, json};

use crate::{
    events::{NewEvent, marker},
    support::{PATIENCE, TestContext, count, only, texts, token, wait_for_metric},
};

const NON_WORKSPACES: &str = "facts_skipped_total{reason=\"not_a_workspace\"}";

/// A pod that is not scheduled, so that only the test sets its status.
fn idle(context: &TestContext, agent: &str) -> Value {
    let mut pod = Workspace::new(context.namespace.name(), "alice", "dev", agent).pod();
    pod["spec"]["schedulerName"] = "nobody".into();
    pod
}

async fn label(context: &TestContext, pod: &DynamicObject, team: Option<&str>) -> Result<()> {
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "team": team } } }));
    context.api::<Pod>().patch(&pod.name_any(), &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn phase(context: &TestContext, pod: &DynamicObject, phase: &str) -> Result<()> {
    let patch = Patch::Merge(json!({ "status": { "phase": phase } }));
    context.api::<Pod>().patch_status(&pod.name_any(), &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Writes an Event and waits until it is dropped because its subject is not a workspace.
async fn dropped(installation: &Installation, context: &TestContext, pod: &DynamicObject, message: &str) -> Result<()> {
    let before = wait_for_metric(installation, NON_WORKSPACES, |_| true).await?;
    NewEvent::warning(pod, "Said", message).write(&context.client).await?;
    wait_for_metric(installation, NON_WORKSPACES, |now| now > before).await?;
    Ok(())
}

/// A pod is selected, deselected and selected again; its Events are dropped only while it is not selected.
async fn selection_changes(
    test: &str,
    plan: impl FnOnce(Plan) -> Plan,
    select: impl AsyncFn(&TestContext, &DynamicObject, bool) -> Result<()>,
) -> Result<()> {
    let context = TestContext::new(test).await?;
    let installation = plan(context.plan()).install(context.cluster).await?;
    let agent = context.agent();
    let pod = context.create(&idle(&context, &agent)).await?;
    // The pod is looked up, and is not selected yet.
    dropped(&installation, &context, &pod, "before it is selected").await?;
    select(&context, &pod, true).await?;
    context.wait_for(&agent, &["🐳 Created pod: coder-alice-dev"]).await?;
    marker(&context, &agent, &pod).await?;
    select(&context, &pod, false).await?;
    wait_for_metric(&installation, "workspace_objects", |objects| objects < 1.0).await?;
    dropped(&installation, &context, &pod, "while it is left out").await?;
    select(&context, &pod, true).await?;
    wait_for_metric(&installation, "workspace_objects", |objects| objects >= 1.0).await?;
    let lines = marker(&context, &agent, &pod).await?;
    for text in ["Deleted pod", "before it is selected", "while it is left out"] {
        assert_eq!(count(&lines, text), 0, "{:#?}", texts(&lines));
    }
    only(&lines, "🐳 Created pod: coder-alice-dev");
    // After a forced deletion it has no deletion timestamp, but is deleted nevertheless.
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    context.api::<Pod>().delete(&pod.name_any(), &now).await?;
    let lines = context.wait_for(&agent, &["🗑️ Deleted pod: coder-alice-dev"]).await?;
    only(&lines, "Deleted pod");
    Ok(())
}

#[tokio::test]
async fn a_pod_is_selected_and_deselected_by_label() -> Result<()> {
    let plan = |plan: Plan| plan.arg("--label-selector=team=a");
    let select = async |context: &TestContext, pod: &DynamicObject, selected: bool| {
        label(context, pod, selected.then_some("a")).await
    };
    selection_changes("leaves-label", plan, select).await
}

#[tokio::test]
async fn a_pod_is_selected_and_deselected_by_phase() -> Result<()> {
    let plan = |plan: Plan| plan.arg("--field-selector=status.phase=Running");
    let select = async |context: &TestContext, pod: &DynamicObject, selected: bool| {
        phase(context, pod, if selected { "Running" } else { "Pending" }).await
    };
    selection_changes("leaves-field", plan, select).await
}

/// An Event that the API server accepts from any user: with eventTime it does not compare the namespaces.
fn forged(namespace: &str, pod: &DynamicObject, about: Option<&str>, message: &str) -> Result<Event> {
    Ok(serde_json::from_value(json!({
        "metadata": { "name": format!("forged.{}", token()), "namespace": namespace },
        "involvedObject": { "apiVersion": "v1", "kind": "Pod", "namespace": about, "name": pod.name_any(), "uid": pod.uid() },
        "type": "Warning",
        "reason": "Forged",
        "message": message,
        "eventTime": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        "action": "Forging",
        "reportingComponent": "test",
        "reportingInstance": "test",
    }))?)
}

#[tokio::test]
async fn invariant_1_a_forged_event_of_another_namespace_is_dropped() -> Result<()> {
    let context = TestContext::new("forged").await?;
    let evil = TestNamespace::create(context.cluster, "forged-evil").await?;
    let namespaces = [context.namespace.name(), evil.name()];
    let installation = context.plan().namespaces(&namespaces).install(context.cluster).await?;
    let agent = context.agent();
    let pod = context.create(&idle(&context, &agent)).await?;
    context.wait_for(&agent, &["🐳 Created pod"]).await?;
    let events: Api<Event> = Api::namespaced(context.client.clone(), evil.name());
    for about in [Some(context.namespace.name()), Some(evil.name())] {
        events.create(&PostParams::default(), &forged(evil.name(), &pod, about, "a forged line")?).await?;
    }
    wait_for_metric(&installation, "facts_skipped_total{reason=\"foreign_namespace\"}", |foreign| foreign >= 2.0)
        .await?;
    let lines = marker(&context, &agent, &pod).await?;
    assert_eq!(count(&lines, "a forged line"), 0, "{:#?}", texts(&lines));
    Ok(())
}

#[tokio::test]
async fn an_event_without_a_uid_is_attributed_by_name() -> Result<()> {
    let context = TestContext::new("no-uid").await?;
    let _installation = context.install().await?;
    let agent = context.agent();
    let pod = context.create(&idle(&context, &agent)).await?;
    let mut event =
        forged(context.namespace.name(), &pod, Some(context.namespace.name()), "Cancelling deletion of Pod")?;
    event.involved_object.uid = None;
    event.reason = Some("TaintManagerEviction".into());
    let events: Api<Event> = context.api();
    events.create(&PostParams::default(), &event).await?;
    context.wait_for(&agent, &["Cancelling deletion of Pod"]).await?;
    Ok(())
}

#[tokio::test]
async fn an_api_eviction_is_reported_before_the_deletion() -> Result<()> {
    let context = TestContext::new("drained").await?;
    let _installation = context.install().await?;
    let agent = context.agent();
    let pod = context.create(&idle(&context, &agent)).await?;
    context.wait_for(&agent, &["🐳 Created pod"]).await?;
    let condition = json!({ "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting", "lastTransitionTime": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string() });
    let patch = Patch::Strategic(json!({ "status": { "conditions": [condition] } }));
    context.api::<Pod>().patch_status(&pod.name_any(), &PatchParams::default(), &patch).await?;
    context.delete(&pod).await?;
    let gone = |lines: &[Line]| count(lines, "🗑️ Deleted pod") == 1;
    let lines = context.coder.wait_for_lines(&agent, PATIENCE, gone).await?;
    let place = |text: &str| texts(&lines).iter().position(|line| line.contains(text));
    assert!(place("Eviction API: evicting (EvictionByEvictionAPI)") < place("🗑️ Deleted pod"), "{:#?}", texts(&lines));
    only(&lines, "Eviction API: evicting");
    Ok(())
}

#[tokio::test]
async fn a_held_back_repeat_is_reported_without_another_event() -> Result<()> {
    let context = TestContext::new("held-back").await?;
    let _installation = context.install().await?;
    let agent = context.agent();
    let pod = context.create(&idle(&context, &agent)).await?;
    let message = "Readiness probe failed: no agent";
    let event = NewEvent::warning(&pod, "Unhealthy", message).write(&context.client).await?;
    context.wait_for(&agent, &[message]).await?;
    crate::events::raise(&context.client, &event, 6, jiff::SignedDuration::from_secs(3)).await?;
    let lines = context.wait_for(&agent, &["(x6 over 3s)"]).await?;
    assert_eq!(count(&lines, message), 2, "{:#?}", texts(&lines));
    Ok(())
}
