//! Causes that come from other objects: a workspace's volume claims, its node, its Deployment and its Job. Also a
//! change of its owner.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Event, Node},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use logstream_testing::{Workspace, poll};
use serde_json::{Value, json};

use crate::{
    events::NewEvent,
    restarts::saved,
    support::{PATIENCE, TestContext, count, only, texts},
};

impl TestContext {
    fn workspace(&self, name: &str, agent: &str) -> Workspace {
        Workspace::new(self.namespace.name(), "alice", name, agent)
    }

    async fn claim(&self, name: &str, class: &str) -> Result<DynamicObject> {
        self.create(&json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": { "name": name, "namespace": self.namespace.name() },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": class,
                "resources": { "requests": { "storage": "1Gi" } },
            },
        }))
        .await
    }

    /// Writes the Event of a node that is not ready, as the node lifecycle controller does.
    async fn node_not_ready(&self, node: &DynamicObject) -> Result<()> {
        let (name, now) = (node.name_any(), now());
        self.create(&json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "name": format!("{name}.not-ready"), "namespace": "default" },
            "involvedObject": { "kind": "Node", "name": name, "uid": name },
            "type": "Normal",
            "reason": "NodeNotReady",
            "message": format!("Node {name} status is now: NodeNotReady"),
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
        }))
        .await
        .map(drop)
    }
}

#[expect(clippy::disallowed_methods, reason = "a kubelet writes the real time")]
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn with_claim(mut workload: Value, claim: &str) -> Value {
    workload["spec"]["template"]["spec"]["volumes"] =
        json!([{ "name": "home", "persistentVolumeClaim": { "claimName": claim } }]);
    workload
}

fn with_deadline(mut deployment: Value) -> Value {
    deployment["spec"]["progressDeadlineSeconds"] = 3.into();
    deployment
}

#[tokio::test]
async fn events_of_a_claim_reach_its_workspace_once_over_a_restart() -> Result<()> {
    let context = TestContext::new("claims").await?;
    let mut installation = context.install().await?;
    let class = format!("late-{}", context.namespace.name());
    let storage = json!({ "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": class },
        "provisioner": "files.example.com", "volumeBindingMode": "WaitForFirstConsumer" });
    context.create(&storage).await?;
    let claim = context.claim("home", &class).await?;
    let (alice, bob) = (context.agent(), context.agent());
    context.create(&with_claim(context.workspace("dev", &alice).deployment(), "home")).await?;
    context.create(&context.workspace("other", &bob).deployment()).await?;
    context.wait_for(&bob, &["Successfully assigned"]).await?;
    // Kubernetes' own controller asks for the volume once the pod has a node.
    context.wait_for(&alice, &["Claim home: Waiting for a volume to be created"]).await?;
    let failure = "failed to provision volume: rpc error: code = ResourceExhausted desc = quota exceeded";
    NewEvent::warning(&claim, "ProvisioningFailed", failure).write(&context.client).await?;
    context.wait_for(&alice, &["quota exceeded"]).await?;
    saved(&context).await?;

    installation.product.sigterm();
    poll::eventually("the program ends", PATIENCE, || {
        let ended = installation.product.ended();
        async move { ended.ok_or("it runs") }
    })
    .await?;
    NewEvent::warning(&claim, "ClaimLost", "Bound claim has lost its PersistentVolume").write(&context.client).await?;
    installation.start_again()?;
    installation.wait_ready().await?;
    let lines = context.wait_for(&alice, &["lost its PersistentVolume"]).await?;
    let failed = only(&lines, "quota exceeded");
    assert!(
        failed.output.contains("Claim home: failed to provision") && failed.output.contains("(ProvisioningFailed)")
    );
    // The controller repeats the Event by itself, which adds to the count.
    let waits = lines.iter().filter(|line| line.output.contains("Waiting for a volume to be created"));
    assert_eq!(waits.filter(|line| !line.output.contains("(x")).count(), 1, "{:#?}", texts(&lines));
    assert_eq!(count(&context.coder.lines(&bob), "Claim"), 0);
    let classes = Api::<k8s_openapi::api::storage::v1::StorageClass>::all(context.client.clone());
    classes.delete(&class, &DeleteParams::default()).await?;
    Ok(())
}

#[tokio::test]
async fn events_of_a_node_reach_the_workspaces_on_it() -> Result<()> {
    let context = TestContext::new("node-lost").await?;
    let name = format!("node-{}", context.namespace.name());
    let _installation = context.plan().reads_node_events().install(context.cluster).await?;
    let node = context.create(&json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } })).await?;
    let (alice, bob) = (context.agent(), context.agent());
    let mut pod = context.workspace("dev", &alice).pod();
    pod["spec"]["nodeName"] = name.as_str().into();
    pod["spec"]["tolerations"] = json!([{ "operator": "Exists" }]);
    context.create(&pod).await?;
    context.create(&context.workspace("other", &bob).pod()).await?;
    for agent in [&alice, &bob] {
        context.wait_for(agent, &["Created pod"]).await?;
    }
    context.node_not_ready(&node).await?;
    let lines = context.wait_for(&alice, &["NodeNotReady"]).await?;
    assert!(only(&lines, "NodeNotReady").output.contains("does not answer"), "{:#?}", texts(&lines));
    // Kubernetes' own controller reports that the node is gone, once it knows the node.
    let events: Api<Event> = Api::namespaced(context.client.clone(), "default");
    let registered = ListParams::default().fields(&format!("involvedObject.name={name},reason=RegisteredNode"));
    poll::eventually("the controller knows the node", PATIENCE, || async {
        let known = events.list(&registered).await.map_err(|error| error.to_string())?;
        if known.items.is_empty() { Err("no Event".to_owned()) } else { Ok(()) }
    })
    .await?;
    Api::<Node>::all(context.client.clone()).delete(&name, &DeleteParams::default()).await?;
    context.wait_for(&alice, &["Removing Node"]).await?;
    assert_eq!(count(&context.coder.lines(&bob), &name), 0);
    Ok(())
}

#[tokio::test]
async fn without_permission_for_node_events_the_rest_works_and_one_warning_is_logged() -> Result<()> {
    let context = TestContext::new("no-node-events").await?;
    let installation = context.install().await?;
    let agent = context.agent();
    context.create(&context.workspace("dev", &agent).pod()).await?;
    context.wait_for(&agent, &["Created pod"]).await?;
    let warned = || installation.product.output().matches("watch failing").count();
    poll::eventually("a warning", PATIENCE, || async { if warned() > 0 { Ok(()) } else { Err("none") } }).await?;
    let output = installation.product.output();
    assert!(warned() == 1 && output.contains("nodeevents/default"), "{output}");
    Ok(())
}

#[tokio::test]
async fn a_deployment_that_is_not_available_in_time_is_reported() -> Result<()> {
    let context = TestContext::new("deadline").await?;
    let _installation = context.install().await?;
    let agent = context.agent();
    context.create(&with_deadline(context.workspace("dev", &agent).memory("64Ti").deployment())).await?;
    let lines = context.wait_for(&agent, &["has timed out progressing"]).await?;
    assert!(only(&lines, "has timed out progressing").output.contains("ProgressDeadlineExceeded"));
    assert_eq!(count(&lines, "Queued pod from"), 1, "{:#?}", texts(&lines));
    assert_eq!(count(&lines, "ScalingReplicaSet"), 0, "{:#?}", texts(&lines));
    Ok(())
}

#[tokio::test]
async fn a_job_that_ran_too_long_is_reported_once() -> Result<()> {
    let context = TestContext::new("job-deadline").await?;
    let _installation = context.install().await?;
    let agent = context.agent();
    let mut job = context.workspace("dev", &agent).memory("64Ti").job();
    job["spec"]["activeDeadlineSeconds"] = 2.into();
    let job = context.create(&job).await?;
    context.wait_for(&agent, &["active longer than specified deadline"]).await?;
    let lines = crate::events::marker(&context, &agent, &job).await?;
    assert_eq!(count(&lines, "active longer than specified deadline"), 1, "{}: {:#?}", job.name_any(), texts(&lines));
    Ok(())
}

/// A prebuild is claimed between two lines: Coder rejects no request, but the labels of the Deployment change.
#[tokio::test]
async fn a_claimed_prebuild_has_its_new_owner_and_its_log_source() -> Result<()> {
    let context = TestContext::new("claimed-labels").await?;
    let installation = context.install().await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "prebuilds", "dev", &agent);
    let deployment = context.create(&workspace.deployment()).await?;
    let pod = context.only("v1", "Pod").await?;
    context.wait_for(&agent, &["Created pod", "Successfully assigned"]).await?;
    context.coder.claim(&agent, Duration::ZERO);
    let labels = json!({ "metadata": { "labels": { "com.coder.user.username": "alice" } } });
    let deployments: Api<Deployment> = context.api();
    deployments.patch(&deployment.name_any(), &PatchParams::default(), &Patch::Merge(&labels)).await?;
    // A line that arrives through the same watch.
    let other = context.agent();
    context.create(&with_deadline(context.workspace("other", &other).memory("64Ti").deployment())).await?;
    context.wait_for(&other, &["has timed out progressing"]).await?;

    NewEvent::warning(&pod, "FailedMount", "Unable to attach or mount volumes").write(&context.client).await?;
    let lines = context.wait_for(&agent, &["Unable to attach"]).await?;
    let line = only(&lines, "Unable to attach");
    assert!(line.source_known && line.generation == 1, "{line:?}");
    let output = installation.product.output();
    let failed = output.lines().find(|line| line.contains("start failed")).unwrap_or_default().to_owned();
    assert!(failed.contains("alice"), "{output}");
    Ok(())
}
