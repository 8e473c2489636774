//! Runs a script on the API server.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Event, Namespace, Node, Pod, ServiceAccount};
use kube::api::{DeleteParams, DynamicObject, EvictParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use logstream_testing::poll;
use serde_json::{Map, Value, json};

use super::{Action, Names, Script, Workload};
use crate::catalogue::Stage;

/// Deadline of waits. On an idle machine the controllers take seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// Time within which a controller nearly always sees a change.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

/// Kinds without a namespace.
const CLUSTER_WIDE: [&str; 9] = [
    "Node",
    "CSINode",
    "PersistentVolume",
    "StorageClass",
    "CSIDriver",
    "PriorityClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
];

/// Creates the stage's namespace and runs the script in it.
pub(in crate::catalogue) async fn play(stage: &Stage<'_>, names: &Names, script: Script) -> Result<()> {
    let run = Run { client: stage.site.client.clone(), names, stage };
    run.namespace(&script.namespace).await.context("its namespace")?;
    if let Some(node) = &script.node {
        run.node(node).await.context("its node")?;
    }
    if let Some(status) = &script.node_status {
        let nodes: Api<Node> = Api::all(run.client.clone());
        let patch = Patch::Merge(json!({ "status": status }));
        nodes.patch_status(&names.own, &PatchParams::default(), &patch).await.context("its node's status")?;
    }
    for object in &script.objects {
        run.prepare(object).await?;
    }
    let workload = run.workload(&script);
    // A StatefulSet's controller checks the claim itself, so no API server rejects the pod.
    let by_api_server = script.workload != Workload::StatefulSet;
    if by_api_server && stage.scenario.cause.area == logstream_core::causes::Area::Refused {
        run.until_refused(&workload["spec"]["template"]).await?;
    }
    run.create(&workload).await?;
    for action in &script.then {
        run.act(action).await.with_context(|| format!("{action:?}"))?;
    }
    Ok(())
}

struct Run<'a> {
    client: Client,
    names: &'a Names,
    stage: &'a Stage<'a>,
}

impl Run<'_> {
    async fn namespace(&self, metadata: &Value) -> Result<()> {
        let mut namespace = json!({ "metadata": { "name": self.names.namespace } });
        merge(&mut namespace["metadata"], metadata);
        let namespace: Namespace = serde_json::from_value(namespace)?;
        Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.names.namespace);
        poll::eventually("its ServiceAccount", PATIENCE, || accounts.get("default")).await?;
        Ok(())
    }

    /// Creates a node that kwok keeps ready, and waits until it is ready.
    async fn node(&self, spec: &Value) -> Result<()> {
        let name = &self.names.own;
        self.create(&json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": name, "annotations": { "kwok.x-k8s.io/node": "fake" },
                "labels": { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "pool": name } },
            "spec": spec,
        }))
        .await?;
        let nodes: Api<Node> = Api::all(self.client.clone());
        poll::eventually("it is ready", PATIENCE, || async {
            let node = nodes.get(name).await.map_err(|error| error.to_string())?;
            let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
            let wanted = |key: &str| !key.starts_with("node.kubernetes.io/") || key.ends_with("unschedulable");
            let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
            let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
            if ready && taints.iter().all(|taint| wanted(&taint.key)) { Ok(()) } else { Err("not yet".to_owned()) }
        })
        .await
    }

    /// Creates an object. With a `deletionTimestamp` it is then deleted, and its finalizer keeps it.
    async fn prepare(&self, object: &Value) -> Result<()> {
        let mut object = object.clone();
        let deleted = object["metadata"].as_object_mut().and_then(|metadata| metadata.remove("deletionTimestamp"));
        self.create(&object).await?;
        if deleted.is_some() {
            let name = object["metadata"]["name"].as_str().context("a name")?;
            self.api(&object)?.delete(name, &DeleteParams::default()).await?;
        }
        Ok(())
    }

    fn workload(&self, script: &Script) -> Value {
        let workspace = &self.stage.workspace;
        let mut workload = match script.workload {
            Workload::Deployment => workspace.deployment(),
            Workload::StatefulSet => workspace.stateful_set(),
            Workload::Pod => workspace.pod(),
            Workload::Job => workspace.job(),
        };
        let spec = match script.workload {
            Workload::Pod => &mut workload["spec"],
            Workload::Deployment | Workload::StatefulSet | Workload::Job => {
                merge(&mut workload["spec"], &script.workload_spec);
                &mut workload["spec"]["template"]["spec"]
            }
        };
        if script.node.is_some() {
            spec["nodeSelector"] = json!({ "pool": self.names.own });
        } else if script.spec["nodeName"].is_null() {
            spec["nodeSelector"] = json!({ "kubernetes.io/hostname": "node-1" });
        }
        merge(spec, &script.spec);
        if script.workload == Workload::Job {
            // The simulated node completes the pods of Jobs, unless another scenario is set.
            merge(
                &mut workload["spec"]["template"]["metadata"],
                &json!({ "annotations": { logstream_testing::scenarios::ANNOTATION: "normal" } }),
            );
        }
        workload
    }

    /// Waits until the API server rejects such a pod: policies, webhooks and quotas take a moment.
    async fn until_refused(&self, template: &Value) -> Result<()> {
        let mut pod = json!({ "metadata": template["metadata"], "spec": template["spec"] });
        pod["metadata"]["generateName"] = "probe-".into();
        pod["spec"]["containers"][0]["env"] = json!([]);
        let pod: Pod = serde_json::from_value(pod)?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.names.namespace);
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        poll::eventually("such a pod is refused", PATIENCE, || async {
            match pods.create(&dry, &pod).await {
                Ok(_) => Err("it is not refused"),
                Err(_) => Ok(()),
            }
        })
        .await
    }

    async fn act(&self, action: &Action) -> Result<()> {
        match action {
            Action::Running => self.pod(|pod| phase(pod) == "Running").await.map(drop),
            Action::Create(object) => self.create(object).await,
            Action::Patch(object) => self.patch(object).await,
            Action::PodStatus(status) => {
                let name = self.pod(|_| true).await?;
                let patch = Patch::Merge(json!({ "status": status }));
                self.pods().patch_status(&name, &PatchParams::default(), &patch).await?;
                Ok(())
            }
            Action::Evict => {
                let name = self.pod(|_| true).await?;
                self.pods().evict(&name, &EvictParams::default()).await?;
                Ok(())
            }
            Action::Until(reason, patches) => {
                let events: Api<Event> = Api::namespaced(self.client.clone(), &self.names.namespace);
                let fields = ListParams::default().fields(&format!("reason={reason}"));
                poll::eventually("the Event", PATIENCE, || async {
                    for patch in patches {
                        self.patch(patch).await.map_err(|error| error.to_string())?;
                        tokio::time::sleep(SEEN_WITHIN).await;
                    }
                    let found = events.list(&fields).await.map_err(|error| error.to_string())?;
                    if found.items.is_empty() { Err("none".to_owned()) } else { Ok(()) }
                })
                .await
            }
        }
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.names.namespace)
    }

    /// Waits until the workspace's pod satisfies `holds`, and returns its name.
    async fn pod(&self, holds: impl Fn(&Pod) -> bool) -> Result<String> {
        let selected = ListParams::default().labels("com.coder.resource=true");
        let pods = self.pods();
        poll::eventually("the workspace's pod", PATIENCE, || async {
            let found = pods.list(&selected).await.map_err(|error| error.to_string())?;
            let pod = found.items.into_iter().find(|pod| holds(pod));
            pod.and_then(|pod| pod.metadata.name).ok_or_else(|| "none yet".to_owned())
        })
        .await
    }

    async fn patch(&self, object: &Value) -> Result<()> {
        let name = object["metadata"]["name"].as_str().context("a name")?;
        self.api(object)?.patch(name, &PatchParams::default(), &Patch::Merge(object)).await?;
        Ok(())
    }

    async fn create(&self, object: &Value) -> Result<()> {
        let api = self.api(object)?;
        let object: DynamicObject = serde_json::from_value(object.clone())?;
        let what = format!("{} {:?}", object.types.as_ref().map_or("", |types| &types.kind), object.metadata.name);
        api.create(&PostParams::default(), &object).await.context(what)?;
        Ok(())
    }

    fn api(&self, object: &Value) -> Result<Api<DynamicObject>> {
        let (Some(version), Some(kind)) = (object["apiVersion"].as_str(), object["kind"].as_str()) else {
            bail!("an object without a kind");
        };
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Ok(if CLUSTER_WIDE.contains(&kind) {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &self.names.namespace, &resource)
        })
    }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// Applies a merge patch (RFC 7386). Unlike in the RFC, lists are merged too, item by item.
pub(super) fn merge(value: &mut Value, patch: &Value) {
    match (value, patch) {
        (value, Value::Object(fields)) => {
            if !value.is_object() {
                *value = Value::Object(Map::new());
            }
            for (key, patch) in fields {
                if patch.is_null() {
                    if let Some(object) = value.as_object_mut() {
                        object.remove(key);
                    }
                } else {
                    merge(&mut value[key.as_str()], patch);
                }
            }
        }
        (Value::Array(items), Value::Array(patches)) => {
            for (index, patch) in patches.iter().enumerate() {
                match items.get_mut(index) {
                    Some(item) => merge(item, patch),
                    None => items.push(patch.clone()),
                }
            }
        }
        (value, patch) => *value = patch.clone(),
    }
}
