//! Selection of workspaces by namespaces, labels and fields.

use anyhow::Result;
use kube::ResourceExt;
use logstream_testing::{Installation, Plan, Scenario, TestNamespace, Workspace, coder::Endpoint};
use logstream_webhook::PREFIX;

use crate::{
    events::{NewEvent, marker},
    metrics::metric_count,
    support::{TestContext, count, texts, wait_for_metric},
};

const NON_WORKSPACES: &str = "facts_skipped_total{reason=\"not_a_workspace\"}";

#[tokio::test]
async fn only_the_named_namespaces_are_watched() -> Result<()> {
    let context = TestContext::new("several").await?;
    let second = TestNamespace::create(context.cluster, "several-second").await?;
    let unwatched = TestNamespace::create(context.cluster, "several-unwatched").await?;
    let watched = [context.namespace.name(), second.name()];
    let installation = context.plan().namespaces(&watched).install(context.cluster).await?;
    let left_out = context.agent();
    context
        .create(&Workspace::new(unwatched.name(), "alice", "dev", &left_out).scenario(Scenario::Normal).deployment())
        .await?;
    for namespace in watched {
        let agent = context.agent();
        let workspace = Workspace::new(namespace, "alice", "dev", &agent).scenario(Scenario::Normal);
        context.create(&workspace.deployment()).await?;
        context.wait_for(&agent, &["🐳 Queued pod from ReplicaSet", "🐳 Created pod", "Container started"]).await?;
    }
    // It was created before the others, whose lines have all arrived by now.
    assert_eq!(context.coder.requests_of(&left_out, Endpoint::LogSource), 0);
    assert_eq!(context.coder.requests_of(&left_out, Endpoint::Logs), 0);
    assert_eq!(metric_count(&installation, "workspace_objects").await?, 6);
    Ok(())
}

#[tokio::test]
async fn without_a_list_of_namespaces_all_of_them_are_watched() -> Result<()> {
    let context = TestContext::new("all").await?;
    let second = TestNamespace::create(context.cluster, "all-second").await?;
    let installation = context.plan().all_namespaces().install(context.cluster).await?;
    for namespace in [context.namespace.name(), second.name()] {
        let agent = context.agent();
        let workspace = Workspace::new(namespace, "alice", "dev", &agent).scenario(Scenario::Normal);
        context.create(&workspace.deployment()).await?;
        let lines =
            context.wait_for(&agent, &["🐳 Queued pod from ReplicaSet", "🐳 Created pod", "Container started"]).await?;
        assert_eq!(count(&lines, "🐳 Created pod"), 1, "{:#?}", texts(&lines));
    }
    // The webhook is called for the first namespace only: the watch repairs what it missed.
    assert!(metric_count(&installation, "pods_missed_by_webhook_total").await? >= 1);
    Ok(())
}

/// Creates two pods, one of them selected; the other's agent gets no line.
async fn only_selected_pods_have_lines(test: &str, select: impl FnOnce(Plan) -> Plan) -> Result<Installation> {
    let context = TestContext::new(test).await?;
    let installation = select(context.plan()).install(context.cluster).await?;
    let (selected, hidden) = (context.agent(), context.agent());
    let workspace = |name: &str, agent: &str| Workspace::new(context.namespace.name(), "alice", name, agent);
    let unseen = context.create(&workspace("hidden", &hidden).pod()).await?;
    NewEvent::warning(&unseen, "Failed", "of a pod not selected").write(&context.client).await?;
    let seen = context.create(&workspace("dev", &selected).pod()).await?;
    context.wait_for(&selected, &["🐳 Created pod: coder-alice-dev", "Successfully assigned"]).await?;
    // The Event's subject was looked up, with the same selectors, and given up.
    wait_for_metric(&installation, NON_WORKSPACES, |non_workspaces| non_workspaces >= 1.0).await?;
    NewEvent::warning(&unseen, "Failed", "of a pod not selected").write(&context.client).await?;
    marker(&context, &selected, &seen).await?;
    for endpoint in [Endpoint::LogSource, Endpoint::Logs] {
        assert_eq!(context.coder.requests_of(&hidden, endpoint), 0, "the webhook sends nothing ahead either");
    }
    assert!(unseen.annotations().keys().all(|key| !key.starts_with(PREFIX)), "{:?}", unseen.annotations());
    assert_eq!(metric_count(&installation, "workspace_objects").await?, 1);
    Ok(installation)
}

#[tokio::test]
async fn a_label_selector_leaves_the_others_out() -> Result<()> {
    let select = |plan: Plan| plan.arg("--label-selector=com.coder.workspace.name=dev");
    only_selected_pods_have_lines("label", select).await?;
    Ok(())
}

#[tokio::test]
async fn a_field_selector_leaves_the_others_out() -> Result<()> {
    let select = |plan: Plan| plan.arg("--field-selector=metadata.name!=coder-alice-hidden");
    only_selected_pods_have_lines("field", select).await?;
    Ok(())
}

#[tokio::test]
async fn a_field_selector_holds_a_workload_until_its_pod_is_seen() -> Result<()> {
    let context = TestContext::new("field-workloads").await?;
    let plan = context.plan().arg("--field-selector=spec.restartPolicy=Always");
    let installation = plan.install(context.cluster).await?;
    let (selected, hidden) = (context.agent(), context.agent());
    let workspace = |name: &str, agent: &str| Workspace::new(context.namespace.name(), "alice", name, agent);
    // The pods of a Job never have the restart policy Always.
    context.create(&workspace("hidden", &hidden).job()).await?;
    context.create(&workspace("dev", &selected).deployment()).await?;
    let lines = ["🐳 Queued pod from ReplicaSet", "🐳 Created pod", "Successfully assigned"];
    context.wait_for(&selected, &lines).await?;
    // The Event of its created pod waited for the Job, and the lookup found nothing that may be reported.
    wait_for_metric(&installation, NON_WORKSPACES, |non_workspaces| non_workspaces >= 1.0).await?;
    for endpoint in [Endpoint::LogSource, Endpoint::Logs] {
        assert_eq!(context.coder.requests_of(&hidden, endpoint), 0, "nobody has shown a pod of it");
    }
    assert_eq!(
        metric_count(&installation, "workspace_objects").await?,
        3,
        "the Deployment, its ReplicaSet and its pod"
    );
    Ok(())
}

#[tokio::test]
async fn a_label_selector_excludes_the_workloads_of_other_pods() -> Result<()> {
    let context = TestContext::new("label-workloads").await?;
    let plan = context.plan().arg("--label-selector=com.coder.workspace.name notin (a, b, c)");
    let installation = plan.install(context.cluster).await?;
    let hidden = context.agent();
    let workspace = |name: &str, agent: &str| Workspace::new(context.namespace.name(), "alice", name, agent);
    context.create(&workspace("a", &hidden).deployment()).await?;
    context.create(&workspace("b", &hidden).stateful_set()).await?;
    context.create(&workspace("c", &hidden).job()).await?;
    // Each workload has at least an Event for its created pod, and each pod one from the scheduler.
    wait_for_metric(&installation, NON_WORKSPACES, |non_workspaces| non_workspaces >= 6.0).await?;
    let agent = context.agent();
    context.create(&workspace("dev", &agent).deployment()).await?;
    context.wait_for(&agent, &["🐳 Queued pod from ReplicaSet", "🐳 Created pod", "Successfully assigned"]).await?;
    assert_eq!(texts(&context.coder.lines(&hidden)), [] as [&str; 0]);
    assert_eq!(metric_count(&installation, "workspace_objects").await?, 3);
    Ok(())
}
