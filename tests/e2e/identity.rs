//! Attribution of lines to agents: by namespace, UID and the object's own spec, never by name alone.

use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, DynamicObject},
};
use logstream_testing::{
    TestNamespace, Workspace,
    coder::{Endpoint, Line},
};
use serde_json::{Value, json};

use crate::{
    events::{NewEvent, marker},
    metrics::metric_count,
    review::{Poster, creation},
    support::{PATIENCE, TestContext, count, texts, token, wait_for_metric},
};

/// Asserts that each line names this object, except the marker's.
#[track_caller]
fn assert_all_about(lines: &[Line], name: &str) {
    let other = |text: &&String| !text.contains(name) && !text.starts_with("marker ");
    assert_eq!(texts(lines).iter().filter(other).collect::<Vec<_>>(), [] as [&String; 0]);
}

#[tokio::test]
async fn pods_of_one_name_in_two_namespaces_are_kept_apart() -> Result<()> {
    let context = TestContext::new("one-name").await?;
    let elsewhere = TestNamespace::create(context.cluster, "one-name-elsewhere").await?;
    let namespaces = [context.namespace.name(), elsewhere.name()];
    let _installation = context.plan().namespaces(&namespaces).install(context.cluster).await?;
    let (here, there) = (context.agent(), context.agent());
    let mut pods = Vec::new();
    for (namespace, agent) in namespaces.into_iter().zip([&here, &there]) {
        pods.push(context.create(&Workspace::new(namespace, "alice", "dev", agent).pod()).await?);
    }
    for (pod, agent) in pods.iter().zip([&here, &there]) {
        let message = format!("in namespace {}", pod.namespace().unwrap_or_default());
        NewEvent::normal(pod, "Said", &message).write(&context.client).await?;
        context.wait_for(agent, &["🐳 Created pod: coder-alice-dev", "Successfully assigned", &message]).await?;
    }
    // A deletion is reported to the pod's own agent only.
    context.delete(&pods[0]).await?;
    context.wait_for(&here, &["🗑️ Deleted pod: coder-alice-dev"]).await?;
    let lines = marker(&context, &there, &pods[1]).await?;
    assert_eq!(count(&lines, "Deleted pod"), 0, "{:#?}", texts(&lines));
    for (lines, other) in [(lines, &namespaces[0]), (context.coder.lines(&here), &namespaces[1])] {
        assert_eq!(count(&lines, other), 0, "{:#?}", texts(&lines));
        assert_eq!(count(&lines, "🐳 Created pod"), 1, "{:#?}", texts(&lines));
    }
    Ok(())
}

#[tokio::test]
async fn pods_with_generated_names_are_kept_apart() -> Result<()> {
    let context = TestContext::new("generated").await?;
    let installation = context.install().await?;
    let agents = [context.agent(), context.agent()];
    let mut pods = Vec::new();
    for agent in &agents {
        pods.push(
            context.create(&Workspace::new(context.namespace.name(), "alice", "dev", agent).generated_pod()).await?,
        );
    }
    for (pod, agent) in pods.iter().zip(&agents) {
        let name = pod.name_any();
        context.wait_for(agent, &[&format!("🐳 Created pod: {name}"), "Successfully assigned"]).await?;
        assert_all_about(&marker(&context, agent, pod).await?, &name);
    }
    // Both went through the webhook, which did not know their names.
    assert_eq!(metric_count(&installation, "admission_reviews_total{kind=\"Pod\",outcome=\"patched\"}").await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_recreated_pod_gets_no_lines_of_the_old_one() -> Result<()> {
    let context = TestContext::new("again").await?;
    let _installation = context.install().await?;
    let (first, second) = (context.agent(), context.agent());
    let workspace = |agent: &str| Workspace::new(context.namespace.name(), "alice", "dev", agent);
    let old = context.create(&workspace(&first).pod()).await?;
    context.wait_for(&first, &["Successfully assigned"]).await?;
    // Deleted at once: kwok deletes by name, and might confuse the new pod with the old one.
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    context.api::<Pod>().delete(&old.name_any(), &now).await?;
    let new = context.create(&workspace(&second).pod()).await?;
    context.wait_for(&second, &["Successfully assigned"]).await?;
    // A late Event about the old pod still reaches its own agent.
    NewEvent::normal(&old, "Killing", "a late event of the old pod").write(&context.client).await?;
    let lines = context.wait_for(&first, &["a late event"]).await?;
    assert_eq!(count(&lines, "🐳 Created pod"), 1, "{:#?}", texts(&lines));
    let lines = marker(&context, &second, &new).await?;
    assert_eq!(count(&lines, "a late event") + count(&lines, "Deleted pod"), 0, "{:#?}", texts(&lines));
    Ok(())
}

#[tokio::test]
async fn an_event_with_another_uid_is_not_attributed_to_the_pod() -> Result<()> {
    let context = TestContext::new("other-uid").await?;
    let installation = context.install().await?;
    let agent = context.agent();
    let pod = context.create(&Workspace::new(context.namespace.name(), "alice", "dev", &agent).pod()).await?;
    context.wait_for(&agent, &["Successfully assigned"]).await?;
    NewEvent::warning(&pod, "Failed", "not about this pod").of_uid(&token()).write(&context.client).await?;
    // The lookup by name finds another object.
    wait_for_metric(&installation, "facts_skipped_total{reason=\"not_a_workspace\"}", |non_workspaces| {
        non_workspaces >= 1.0
    })
    .await?;
    let lines = marker(&context, &agent, &pod).await?;
    assert_eq!(count(&lines, "not about this pod"), 0, "{:#?}", texts(&lines));
    Ok(())
}

#[tokio::test]
async fn invariant_1_a_forged_owner_gets_no_line_of_a_pod() -> Result<()> {
    let context = TestContext::new("forged-owner").await?;
    let _installation = context.install().await?;
    let (victim, agent) = (context.agent(), context.agent());
    let mut owner = replicaset(&Workspace::new(context.namespace.name(), "alice", "dev", &victim));
    owner["spec"]["replicas"] = 0.into();
    let owner = context.create(&owner).await?;
    context.wait_for(&victim, &["Queued pod from ReplicaSet"]).await?;
    // More pods than are announced one by one per workload.
    for n in 0..6 {
        let mut pod = Workspace::new(context.namespace.name(), "mallory", &format!("forged-{n}"), &agent).pod();
        pod["metadata"]["ownerReferences"] = json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "name": owner.name_any(), "uid": owner.uid(), "controller": true }]);
        let pod = context.create(&pod).await?;
        context.wait_for(&agent, &[&format!("Created pod: {}", pod.name_any())]).await?;
    }
    let lines = marker(&context, &victim, &owner).await?;
    assert_eq!(count(&lines, "forged"), 0, "{:#?}", texts(&lines));
    Ok(())
}

/// A ReplicaSet created directly, so that its name and UID are known.
fn replicaset(workspace: &Workspace) -> Value {
    let mut replicaset = workspace.deployment();
    replicaset["kind"] = "ReplicaSet".into();
    replicaset["spec"]["strategy"].take();
    replicaset
}

#[tokio::test]
async fn invariant_1_forged_reviews_give_another_agent_no_line() -> Result<()> {
    let context = TestContext::new("forged").await?;
    let installation = context.install().await?;
    let poster = Poster::new(&installation)?;
    let namespace = context.namespace.name();
    let workspace = |name: &str, agent: &str| Workspace::new(namespace, "alice", name, agent);
    let stranger = context.agent();
    let post = async |object: &Value| -> Result<()> {
        let answer = poster.post(&creation(object)).await?;
        assert!(answer.admits(), "{answer:?}");
        Ok(())
    };

    // Registrations of names that do not exist yet.
    post(&workspace("pod", &stranger).pod()).await?;
    post(&replicaset(&workspace("rs", &stranger))).await?;
    post(&workspace("sts", &stranger).stateful_set()).await?;
    post(&workspace("job", &stranger).job()).await?;
    post(&workspace("plain", &stranger).pod()).await?;
    let agents: Vec<String> = (0..4).map(|_| context.agent()).collect();
    let objects = [
        workspace("pod", &agents[0]).pod(),
        replicaset(&workspace("rs", &agents[1])),
        workspace("sts", &agents[2]).stateful_set(),
        workspace("job", &agents[3]).job(),
    ];
    let mut made = Vec::new();
    for object in &objects {
        made.push(context.create(object).await?);
    }
    // A pod that is not a workspace.
    let mut plain = workspace("plain", "").pod();
    plain["spec"]["containers"][0]["env"] = json!([]);
    let plain = context.create(&plain).await?;
    NewEvent::warning(&plain, "Failed", "of a pod without an agent").write(&context.client).await?;

    // Registrations with the UIDs and names of objects that exist now.
    for owner in &made {
        let mut pod = workspace("x", &stranger).generated_pod();
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": owner.types.as_ref().map(|types| types.api_version.clone()),
            "kind": owner.types.as_ref().map(|types| types.kind.clone()),
            "name": owner.name_any(), "uid": owner.uid(), "controller": true,
        }]);
        post(&pod).await?;
    }
    post(&workspace("pod", &stranger).pod()).await?;
    // The ReplicaSet creates another pod, whose registration has already been forged.
    context.wait_for(&agents[1], &["🐳 Created pod: coder-alice-rs"]).await?;
    context.delete(&context.only_of("v1", "Pod", "com.coder.workspace.name=rs").await?).await?;
    let twice = |lines: &[Line]| count(lines, "🐳 Created pod: coder-alice-rs") == 2;
    context.coder.wait_for_lines(&agents[1], PATIENCE, twice).await?;

    for (object, agent) in made.iter().zip(&agents) {
        let lines = marker(&context, agent, object).await?;
        assert!(count(&lines, &object.name_any()) > 0, "{:#?}", texts(&lines));
    }
    // The other agent gets only the lines of its own pod.
    let own: DynamicObject = context.create(&workspace("own", &stranger).pod()).await?;
    context.wait_for(&stranger, &["Successfully assigned"]).await?;
    assert_all_about(&marker(&context, &stranger, &own).await?, "coder-alice-own");
    Ok(())
}

#[tokio::test]
async fn invariant_1_a_flood_of_forged_reviews_delays_no_workspace() -> Result<()> {
    /// More than the limit of log sources posted ahead; the registry's own limit is tested with the registry.
    const FORGED: usize = 1_300;
    let context = TestContext::new("flood").await?;
    let installation = context.install().await?;
    let poster = Poster::new(&installation)?;
    let namespace = context.namespace.name();
    let forge = async |number: usize| {
        let name = format!("forged-{number}");
        let answer = poster.post(&creation(&Workspace::new(namespace, "mallory", &name, &token()).pod())).await?;
        anyhow::ensure!(answer.admits(), "{answer:?}");
        anyhow::Ok(())
    };
    stream::iter(0..FORGED).map(forge).buffer_unordered(32).try_collect::<Vec<_>>().await?;
    assert!(metric_count(&installation, "pending_registrations").await? >= FORGED);
    wait_for_metric(&installation, "registrations_ignored_total", |ignored| ignored >= 100.0).await?;
    assert!(metric_count(&installation, "agents{state=\"expected\"}").await? <= 1_024);

    let agent = context.agent();
    context.create(&Workspace::new(namespace, "alice", "dev", &agent).pod()).await?;
    let began = std::time::Instant::now();
    context.wait_for(&agent, &["🐳 Created pod: coder-alice-dev", "Successfully assigned"]).await?;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // Forged registrations get an eighth of the request rate to Coder, with a burst of half a minute's worth.
    assert!(context.coder.request_count(Endpoint::LogSource, 401) < 100, "{:?}", context.coder.requests());
    assert_eq!(context.coder.request_count(Endpoint::LogSource, 429), 0);
    assert_eq!(context.coder.request_count(Endpoint::Logs, 429), 0);
    Ok(())
}
