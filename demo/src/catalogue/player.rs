//! Plays a recording: writes to the real API server what a kubelet, a controller or a driver would write.

use std::collections::HashSet;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use logstream_scenarios::{Change, Recording};
use logstream_testing::scenarios::ANNOTATION;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Stage;
use super::rewrite::Played;
use super::warp::Warp;

/// Value of the annotation. No stage of the simulated node matches it.
const RECORDED: &str = "recorded";

/// Finalizer that keeps the pod until the recording says that it is gone.
const FINALIZER: &str = "scenario.test/recorded";

/// Name of a scheduler that does not exist.
const NO_SCHEDULER: &str = "scenario.test";

/// Plays the stage's recording to its end.
pub(super) async fn play(stage: &Stage<'_>) -> Result<()> {
    let recording = stage.scenario.recording();
    let client = &stage.site.client;
    let namespace = stage.workspace.namespace();
    let name = stage.workspace.object_name();
    let kind = ApiResource::from_gvk(&group_version_kind(recording.kind));
    let objects: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let object: DynamicObject = serde_json::from_value(object(stage, &recording)).context("the object")?;
    let made = objects.create(&PostParams::default(), &object).await.context("the workspace's object")?;
    let uid = made.metadata.uid.unwrap_or_default();
    let created = made.metadata.creation_timestamp.context("the API server sets it")?.0;
    let began = Instant::now();
    let warp = Warp::new(&recording, created);
    let played = Played { namespace, name: &name, uid: &uid, recording: &recording, warp: &warp };
    let writer = Writer { client: client.clone(), pods: Api::namespaced(client.clone(), namespace), played: &played };
    let mut seen = Seen::default();
    for (number, step) in recording.steps.iter().enumerate() {
        tokio::time::sleep_until(began + warp.after(number)).await;
        writer.write(&step.change, &mut seen).await.with_context(|| format!("step {number}"))?;
    }
    Ok(())
}

/// Events and deletion written so far.
#[derive(Default)]
struct Seen {
    events: HashSet<String>,
    deleted: bool,
}

struct Writer<'a> {
    client: Client,
    pods: Api<Pod>,
    played: &'a Played<'a>,
}

impl Writer<'_> {
    async fn write(&self, change: &Change, seen: &mut Seen) -> Result<()> {
        match change {
            Change::Event(event) => self.event(&self.played.event(event), seen).await,
            Change::Status(..) if self.played.recording.kind != "Pod" => Ok(()),
            Change::Status(status, deleted) => {
                if !deleted.is_null() {
                    self.delete(seen).await?;
                }
                let patch = Patch::Merge(json!({ "status": self.played.status(status) }));
                self.pods.patch_status(self.played.name, &PatchParams::default(), &patch).await?;
                Ok(())
            }
            Change::Gone => {
                self.delete(seen).await?;
                let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
                self.pods.patch(self.played.name, &PatchParams::default(), &patch).await?;
                Ok(())
            }
        }
    }

    async fn event(&self, event: &Value, seen: &mut Seen) -> Result<()> {
        let name = event["metadata"]["name"].as_str().context("an Event has a name")?;
        let events: Api<Event> =
            Api::namespaced(self.client.clone(), event["metadata"]["namespace"].as_str().unwrap_or_default());
        if seen.events.insert(name.to_owned()) {
            events.create(&PostParams::default(), &serde_json::from_value(event.clone())?).await?;
            return Ok(());
        }
        let again =
            json!({ "count": event["count"], "lastTimestamp": event["lastTimestamp"], "message": event["message"] });
        events.patch(name, &PatchParams::default(), &Patch::Merge(again)).await?;
        Ok(())
    }

    async fn delete(&self, seen: &mut Seen) -> Result<()> {
        if !std::mem::replace(&mut seen.deleted, true) {
            self.pods.delete(self.played.name, &DeleteParams::default()).await?;
        }
        Ok(())
    }
}

fn group_version_kind(kind: &str) -> GroupVersionKind {
    match kind {
        "Pod" => GroupVersionKind::gvk("", "v1", kind),
        "Job" => GroupVersionKind::gvk("batch", "v1", kind),
        _ => GroupVersionKind::gvk("apps", "v1", kind),
    }
}

/// The workspace's object. Nothing else starts its pod: the pod is on a node whose stages ignore it, or waits for a
/// scheduler that does not exist. A workload requests no pod.
fn object(stage: &Stage<'_>, recording: &Recording) -> Value {
    let workspace = &stage.workspace;
    let spec = pod_spec(recording, &workspace.object_name(), workspace.token());
    let metadata = json!({
        "name": workspace.object_name(),
        "namespace": workspace.namespace(),
        "labels": workspace.labels(),
        "annotations": { ANNOTATION: RECORDED },
    });
    let template = json!({ "metadata": { "labels": workspace.labels() }, "spec": spec });
    match recording.kind {
        "Pod" => {
            let mut pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec });
            if recording.steps.iter().any(|step| is_deletion(&step.change)) {
                pod["metadata"]["finalizers"] = json!([FINALIZER]);
            }
            pod
        }
        "Job" => {
            let mut template = template;
            template["spec"]["restartPolicy"] = "Never".into();
            json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
                "spec": { "suspend": true, "template": template } })
        }
        kind => json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": metadata,
            "spec": { "replicas": 0, "serviceName": "none", "selector": { "matchLabels": workspace.labels() },
                "template": template } }),
    }
}

fn is_deletion(change: &Change) -> bool {
    match change {
        Change::Gone => true,
        Change::Status(_, deleted) => !deleted.is_null(),
        Change::Event(_) => false,
    }
}

fn pod_spec(recording: &Recording, name: &str, token: &str) -> Value {
    let containers = |key: &str| -> Vec<Value> {
        let mut containers = recording.object[key].as_array().cloned().unwrap_or_default();
        for container in &mut containers {
            container["env"] = json!([{ "name": "CODER_AGENT_TOKEN", "value": token }]);
        }
        containers
    };
    let mut spec = json!({
        "containers": containers("containers"),
        "initContainers": containers("initContainers"),
        "restartPolicy": recording.object["restartPolicy"],
        "automountServiceAccountToken": false,
    });
    let placed = |change: &Change| matches!(change, Change::Event(event) if event["reason"] == "Scheduled");
    if let Some(volumes) = recording.object["volumes"].as_array() {
        spec["volumes"] =
            serde_json::from_str(&Value::from(volumes.clone()).to_string().replace(recording.name(), name))
                .unwrap_or_default();
    }
    if let Some(node) = recording.object["nodeName"].as_str() {
        spec["nodeName"] = node.replace(recording.name(), name).into();
    } else if recording.kind == "Pod" && recording.steps.iter().any(|step| placed(&step.change)) {
        spec["nodeName"] = "node-1".into();
    } else {
        spec["schedulerName"] = NO_SCHEDULER.into();
    }
    spec
}
