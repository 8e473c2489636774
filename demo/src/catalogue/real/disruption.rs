//! Scenarios in which the cluster removes the pod, or a controller gives up.

use serde_json::{Value, json};

use super::{Action, Names, Script, Workload};

pub(super) fn script(id: &str, names: &Names) -> Option<Script> {
    let pod = |spec: Value| Script::new(spec).workload(Workload::Pod, json!({}));
    Some(match id {
        "drained" => pod(json!({})).then(Action::Running).then(Action::Evict),
        "taint_manager" => pod(json!({}))
            .on_own_node(json!({}))
            .then(Action::Running)
            .then(Action::Patch(taint(names, &json!([no_execute()])))),
        "taint_manager_cancelled" => {
            let tolerates =
                json!({ "key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 });
            pod(json!({ "tolerations": [tolerates] })).on_own_node(json!({})).then(Action::Running).then(Action::Until(
                "TaintManagerEviction",
                [taint(names, &json!([no_execute()])), taint(names, &json!([]))],
            ))
        }
        // The node does not exist.
        "pod_gc" => pod(json!({ "nodeName": names.own })),
        "backoff_limit" => Script::new(json!({}))
            .workload(Workload::Job, json!({}))
            .then(Action::Running)
            .then(Action::PodStatus(json!({ "phase": "Failed" }))),
        "progress_deadline" => Script::new(json!({ "nodeSelector": { "disktype": "ssd" } }))
            .workload(Workload::Deployment, json!({ "progressDeadlineSeconds": 2 })),
        "job_deadline" => Script::new(json!({ "nodeSelector": { "disktype": "ssd" } }))
            .workload(Workload::Job, json!({ "activeDeadlineSeconds": 2 })),
        _ => return None,
    })
}

fn no_execute() -> Value {
    json!({ "key": "maintenance", "value": "now", "effect": "NoExecute" })
}

fn taint(names: &Names, taints: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": names.own }, "spec": { "taints": taints } })
}
