//! Each scenario leaves the status and the Events that a real kubelet would.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use logstream_testing::{Cluster, Place, Scenario, TestNamespace, Workspace, poll, scenarios};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_mins(1);

/// A workspace in a namespace of its own.
struct Stage {
    cluster: &'static Cluster,
    namespace: TestNamespace,
    pods: Api<Pod>,
    events: Api<Event>,
}

impl Stage {
    async fn set(test: &str) -> Self {
        let cluster = Cluster::shared_async().await;
        let namespace = TestNamespace::create(cluster, test).await.unwrap();
        let client = cluster.admin_client().await.unwrap();
        let pods = Api::namespaced(client.clone(), namespace.name());
        let events = Api::namespaced(client, namespace.name());
        Self { cluster, namespace, pods, events }
    }

    fn workspace(&self) -> Workspace {
        Workspace::new(self.namespace.name(), "alice", "dev", "token")
    }

    fn apply(&self, object: &Value) {
        self.cluster.kubectl_with(&["apply", "-f", "-"], &object.to_string()).unwrap();
    }

    /// Waits until a pod's JSON has these values at these pointers.
    async fn pod_becomes(&self, wanted: &[(&str, Value)]) -> Value {
        poll::eventually("the pod", SOON, || async {
            let pods = self.pods.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            let all: Vec<Value> = pods.items.iter().map(|pod| serde_json::to_value(pod).unwrap()).collect();
            let fits = |pod: &&Value| wanted.iter().all(|(at, value)| pod.pointer(at) == Some(value));
            all.iter().find(fits).cloned().ok_or_else(|| json!(all).to_string())
        })
        .await
        .unwrap()
    }

    /// Waits until there is an Event of this reason with this in its message, at least so often.
    async fn event(&self, reason: &str, part: &str, count: i32) -> Event {
        poll::eventually("the Event", SOON, || async {
            let events = self.events.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
            let fits = |event: &&Event| {
                event.reason.as_deref() == Some(reason)
                    && event.message.as_deref().is_some_and(|message| message.contains(part))
                    && event.count.unwrap_or(1) >= count
            };
            let said = || events.iter().map(|event| event.message.clone().unwrap_or_default()).collect::<Vec<_>>();
            events.iter().find(fits).cloned().ok_or_else(|| said().join("\n"))
        })
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn normal_pulls_starts_and_runs() {
    let stage = Stage::set("normal").await;
    let workspace = stage.workspace().scenario(Scenario::Normal).init_container("docker.io/library/busybox:1");
    stage.apply(&workspace.deployment());
    let ready = [
        ("/status/phase", json!("Running")),
        ("/status/containerStatuses/0/ready", json!(true)),
        ("/status/initContainerStatuses/0/state/terminated/reason", json!("Completed")),
    ];
    stage.pod_becomes(&ready).await;
    stage.event("Pulling", "busybox:1", 1).await;
    let started = stage.event("Started", "Container started", 1).await;
    assert_eq!(started.source.unwrap().component.as_deref(), Some("kubelet"));
    let pulled = stage.event("Pulled", "Successfully pulled image \"ghcr.io/example/workspace:2026.11\" in", 1).await;
    assert_eq!(pulled.involved_object.field_path.as_deref(), Some("spec.containers{dev}"));
}

#[tokio::test]
async fn a_wrong_image_ends_in_back_off() {
    let stage = Stage::set("wrong-image").await;
    stage.apply(&stage.workspace().scenario(Scenario::WrongImage).image("ghcr.io/example/nope:1").deployment());
    let pod =
        stage.pod_becomes(&[("/status/containerStatuses/0/state/waiting/reason", json!("ImagePullBackOff"))]).await;
    let message = pod.pointer("/status/containerStatuses/0/state/waiting/message").unwrap().as_str().unwrap();
    assert!(message.starts_with("Back-off pulling image \"ghcr.io/example/nope:1\": ErrImagePull:"), "{message}");
    assert!(message.ends_with("ghcr.io/example/nope:1: not found"), "{message}");
    stage.event("Failed", "Failed to pull image \"ghcr.io/example/nope:1\": ", 1).await;
    stage.event("Failed", "Error: ErrImagePull", 1).await;
    stage.event("Failed", "Error: ImagePullBackOff", 1).await;
    stage.event("BackOff", "Back-off pulling image", 1).await;
}

#[tokio::test]
async fn a_crash_loop_restarts_three_times() {
    let stage = Stage::set("crash-loop").await;
    stage.apply(&stage.workspace().scenario(Scenario::CrashLoop).stateful_set());
    let waiting = [
        ("/status/containerStatuses/0/restartCount", json!(3)),
        ("/status/containerStatuses/0/state/waiting/reason", json!("CrashLoopBackOff")),
        ("/status/containerStatuses/0/lastState/terminated/exitCode", json!(1)),
    ];
    let pod = stage.pod_becomes(&waiting).await;
    let message = pod.pointer("/status/containerStatuses/0/state/waiting/message").unwrap().as_str().unwrap();
    assert!(message.starts_with("back-off 40s restarting failed container=dev pod=coder-alice-dev-0_"), "{message}");
    stage.event("BackOff", "Back-off restarting failed container dev in pod coder-alice-dev-0_", 3).await;
    stage.event("Started", "Container started", 4).await;
}

#[tokio::test]
async fn out_of_memory_shows_in_the_status_alone() {
    let stage = Stage::set("oom-killed").await;
    stage.apply(&stage.workspace().scenario(Scenario::OomKilled).pod());
    let again = [
        ("/status/containerStatuses/0/restartCount", json!(1)),
        ("/status/containerStatuses/0/state/running", Value::Null),
        ("/status/containerStatuses/0/lastState/terminated/reason", json!("OOMKilled")),
        ("/status/containerStatuses/0/lastState/terminated/exitCode", json!(137)),
    ];
    let again: Vec<_> = again.into_iter().filter(|(_, value)| !value.is_null()).collect();
    stage.pod_becomes(&again).await;
    let events = stage.events.list(&ListParams::default()).await.unwrap().items;
    assert!(!events.iter().any(|event| event.message.as_deref().unwrap_or_default().contains("OOM")));
}

#[tokio::test]
async fn an_evicted_pod_is_replaced_by_one_that_stays() {
    let stage = Stage::set("evicted").await;
    stage.apply(&stage.workspace().scenario(Scenario::Evicted).evicted_after(Duration::from_secs(6)).deployment());
    let pod = stage.pod_becomes(&[("/status/phase", json!("Failed")), ("/status/reason", json!("Evicted"))]).await;
    let message = pod.pointer("/status/message").unwrap().as_str().unwrap();
    assert!(message.starts_with("The node was low on resource: memory."), "{message}");
    stage.event("Evicted", "The node was low on resource: memory.", 1).await;
    stage.pod_becomes(&[("/status/phase", json!("Running"))]).await;
}

#[tokio::test]
async fn a_quota_and_a_full_node_are_refused_by_the_real_thing() {
    let stage = Stage::set("refused").await;
    let apply = ["apply", "-n", stage.namespace.name(), "-f", "-"];
    stage.cluster.kubectl_with(&apply, scenarios::UNSCHEDULABLE).unwrap();
    stage.event("FailedScheduling", "Insufficient cpu", 1).await;
    stage.cluster.kubectl_with(&apply, scenarios::QUOTA).unwrap();
    stage.apply(&stage.workspace().deployment());
    stage.event("FailedCreate", "exceeded quota: no-pods", 1).await;
}

#[tokio::test]
async fn pods_of_no_scenario_run_complete_and_go() {
    let stage = Stage::set("plain").await;
    let workspace = stage.workspace().token_in(Place::SecretKey);
    stage.apply(&workspace.token_object().unwrap());
    stage.apply(&workspace.job());
    stage.pod_becomes(&[("/status/phase", json!("Succeeded"))]).await;
    stage.apply(&workspace.pod());
    stage.pod_becomes(&[("/status/phase", json!("Running"))]).await;
    stage.pods.delete(&workspace.object_name(), &DeleteParams::default()).await.unwrap();
    poll::eventually("the pod is gone", SOON, || async {
        match stage.pods.get_opt(&workspace.object_name()).await {
            Ok(None) => Ok(()),
            other => Err(other),
        }
    })
    .await
    .unwrap();
}
