//! Scenarios in which no node fits the pod.

use serde_json::{Value, json};

use super::{Action, Names, Script, Workload, container, neighbour, resources};

/// A port of the node.
const PORT: u16 = 8_080;

pub(super) fn script(id: &str, names: &Names) -> Option<Script> {
    Some(match id {
        "cpu" => Script::new(resources(&json!({ "cpu": "5000" }), &json!({ "cpu": "5000" }))),
        "memory" => Script::new(resources(&json!({ "memory": "900Ti" }), &json!({ "memory": "900Ti" }))),
        "gpu" => Script::new(needs("nvidia.com/gpu")),
        "extended_resource" => Script::new(needs("example.com/fpga")),
        "ephemeral_storage" => Script::new(resources(&json!({ "ephemeral-storage": "1Ti" }), &json!({}))),
        "host_port" => {
            let port = container(&json!({ "ports": [{ "containerPort": PORT, "hostPort": PORT }] }));
            Script::new(port.clone()).on_own_node(json!({})).with(neighbour(names, &port))
        }
        "pod_count" => Script::new(json!({}))
            .on_own_node(json!({}))
            .node_status(json!({ "capacity": { "pods": "0" }, "allocatable": { "pods": "0" } })),
        "taint_unnamed" => Script::new(json!({}))
            .on_own_node(json!({ "taints": [{ "key": "gpu", "value": "yes", "effect": "NoSchedule" }] })),
        "node_cordoned" => Script::new(json!({})).on_own_node(json!({ "unschedulable": true })),
        "topology_spread" => Script::new(json!({ "topologySpreadConstraints": [{ "maxSkew": 1,
            "topologyKey": "example.com/rack", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": { "matchLabels": { "com.coder.resource": "true" } } }] })),
        "pod_anti_affinity" => {
            Script::new(affinity("podAntiAffinity")).on_own_node(json!({})).with(neighbour(names, &json!({})))
        }
        "pod_affinity" => Script::new(affinity("podAffinity")),
        "node_affinity" => Script::new(json!({ "nodeSelector": { "disktype": "ssd" } })),
        "scheduling_gate" => Script::new(json!({ "schedulingGates": [{ "name": "kueue.x-k8s.io/admission" }] })),
        "preempting" => Script::new(large(&format!("{}-high", names.own)))
            .on_own_node(json!({}))
            .with(priority(names, "low", 10))
            .with(priority(names, "high", 1_000))
            .with(rival(names, "low", &json!({ "nodeName": names.own }))),
        "preempted" => Script::new(large(&format!("{}-low", names.own)))
            .workload(Workload::Pod, json!({}))
            .on_own_node(json!({}))
            .with(priority(names, "low", 10))
            .with(priority(names, "high", 1_000))
            .then(Action::Running)
            .then(Action::Create(rival(names, "high", &json!({ "nodeSelector": { "pool": names.own } })))),
        _ => return None,
    })
}

fn needs(resource: &str) -> Value {
    resources(&json!({ resource: "1" }), &json!({ resource: "1" }))
}

fn affinity(kind: &str) -> Value {
    json!({ "affinity": { kind: { "requiredDuringSchedulingIgnoredDuringExecution": [{
        "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "app": "neighbour" } },
    }] } } })
}

/// Pod spec that requests more than half of a node, with this priority class.
fn large(class: &str) -> Value {
    let mut spec = resources(&json!({ "cpu": "600" }), &json!({ "cpu": "600" }));
    spec["priorityClassName"] = class.into();
    spec
}

fn priority(names: &Names, name: &str, value: u32) -> Value {
    json!({ "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": { "name": format!("{}-{name}", names.own) }, "value": value })
}

/// Another pod of that size.
fn rival(names: &Names, class: &str, place: &Value) -> Value {
    let mut spec = place.clone();
    spec["priorityClassName"] = format!("{}-{class}", names.own).into();
    let cpu = json!({ "cpu": "600" });
    spec["containers"] = json!([{ "name": "main", "image": "example.com/other:1",
        "resources": { "requests": cpu, "limits": cpu } }]);
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "rival" }, "spec": spec })
}
