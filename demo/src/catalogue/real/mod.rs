//! Scenarios played by the API server, the scheduler and the controllers themselves: manifests, and actions on them.

mod disruption;
mod refused;
mod run;
mod scheduling;
mod volumes;

use logstream_scenarios::Scenario;
use serde_json::{Value, json};

pub(super) use run::play;

/// Names of a scenario's objects.
#[derive(Debug)]
pub(super) struct Names {
    /// Name of its namespace.
    pub(super) namespace: String,
    /// Name of its own node, volume and cluster-wide objects, or the prefix of their names.
    pub(super) own: String,
    /// Name of its workspace's workload or pod.
    pub(super) workload: String,
}

/// The workload of a scenario's workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    Deployment,
    StatefulSet,
    Pod,
    Job,
}

/// Action once the workspace exists.
#[derive(Debug)]
pub(super) enum Action {
    /// Waits until its pod runs.
    Running,
    /// Creates an object.
    Create(Value),
    /// Merges a patch into an object.
    Patch(Value),
    /// Merges a patch into the status of the workspace's pod.
    PodStatus(Value),
    /// Evicts its pod through the API, as `kubectl drain` does.
    Evict,
    /// Merges these patches in turn, repeatedly until an Event with this reason is in the namespace: nothing shows that
    /// a controller has seen the first patch before it sees the second.
    Until(&'static str, [Value; 2]),
}

/// A scenario's manifests and actions.
#[derive(Debug)]
pub(super) struct Script {
    /// Merged into the namespace's metadata.
    namespace: Value,
    /// Objects that exist before the workspace. One with a `deletionTimestamp` is deleted again, and has a finalizer.
    objects: Vec<Value>,
    workload: Workload,
    /// Merged into the pod's spec.
    spec: Value,
    /// Merged into the workload's own spec.
    workload_spec: Value,
    /// The scenario's own node, if it has one; its workspace runs there.
    node: Option<Value>,
    /// Merged into that node's status once it is ready.
    node_status: Option<Value>,
    then: Vec<Action>,
}

impl Script {
    fn new(spec: Value) -> Self {
        Self {
            namespace: json!({}),
            objects: Vec::new(),
            workload: Workload::Deployment,
            spec,
            workload_spec: json!({}),
            node: None,
            node_status: None,
            then: Vec::new(),
        }
    }

    fn namespace(mut self, metadata: Value) -> Self {
        self.namespace = metadata;
        self
    }

    fn with(mut self, object: Value) -> Self {
        self.objects.push(object);
        self
    }

    fn workload(mut self, workload: Workload, spec: Value) -> Self {
        self.workload = workload;
        self.workload_spec = spec;
        self
    }

    fn on_own_node(mut self, spec: Value) -> Self {
        self.node = Some(spec);
        self
    }

    fn node_status(mut self, status: Value) -> Self {
        self.node_status = Some(status);
        self
    }

    fn then(mut self, action: Action) -> Self {
        self.then.push(action);
        self
    }
}

/// The script of a scenario, if it is played for real.
pub(super) fn script(scenario: Scenario, names: &Names) -> Option<Script> {
    let id = scenario.name();
    refused::script(id, names)
        .or_else(|| scheduling::script(id, names))
        .or_else(|| volumes::script(id, names))
        .or_else(|| disruption::script(id, names))
}

/// Returns true if a scenario is played for real.
pub(super) fn is_real(scenario: Scenario) -> bool {
    let names = Names { namespace: String::new(), own: String::new(), workload: String::new() };
    script(scenario, &names).is_some()
}

/// The merge patch of the first container of a workspace's pod.
fn container(patch: &Value) -> Value {
    json!({ "containers": [patch] })
}

/// Resources of the first container.
fn resources(requests: &Value, limits: &Value) -> Value {
    container(&json!({ "resources": { "requests": requests, "limits": limits } }))
}

/// A pod that is not a workspace, on the scenario's own node.
fn neighbour(names: &Names, spec: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "neighbour", "labels": { "app": "neighbour" } },
        "spec": { "nodeName": names.own, "containers": [{ "name": "main", "image": "example.com/other:1" }] },
    });
    run::merge(&mut pod["spec"], spec);
    pod
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_reaches_into_the_first_container() {
        let mut spec = json!({ "containers": [{ "name": "dev", "resources": { "limits": { "cpu": "2" } } }] });
        run::merge(&mut spec, &resources(&json!({ "cpu": "1" }), &json!({ "cpu": null })));
        assert_eq!(
            spec,
            json!({ "containers": [{ "name": "dev", "resources": { "limits": {}, "requests": { "cpu": "1" } } }] })
        );
    }

    #[test]
    fn scenarios_of_the_control_plane_are_played_for_real() {
        let real = Scenario::all().filter(|scenario| is_real(*scenario)).count();
        assert!(real >= 48, "{real}");
    }
}
