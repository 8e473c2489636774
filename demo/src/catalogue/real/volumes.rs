//! Scenarios with claims and volumes, played by the scheduler and the volume controllers.

use serde_json::{Value, json};

use super::{Names, Script, Workload, container};

/// Name of the claim for the workspace's home.
const HOME: &str = "home";

/// CSI driver of existing volumes.
const CSI_DRIVER: &str = "files.csi.example.com";

/// Provisioner of a `StorageClass` without dynamic provisioning.
const STATIC: &str = "kubernetes.io/no-provisioner";

pub(super) fn script(id: &str, names: &Names) -> Option<Script> {
    let with_home = || Script::new(json!({ "volumes": [home()] }));
    let class = |provisioner: &str, binding: &str| {
        json!({ "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": names.own },
            "provisioner": provisioner, "volumeBindingMode": binding })
    };
    let of_class = || claim(&json!({ "storageClassName": names.own }), &json!({}));
    Some(match id {
        "claim_missing" => with_home(),
        "claim_unbound" | "storage_class_none" => with_home().with(claim(&json!({}), &json!({}))),
        "storage_class_missing" => with_home().with(claim(&json!({ "storageClassName": "fast" }), &json!({}))),
        "volume_first_consumer" | "volume_none_fits" => {
            with_home().with(class(STATIC, "WaitForFirstConsumer")).with(of_class())
        }
        "volume_provisioning" => with_home().with(class("ebs.csi.aws.com", "Immediate")).with(of_class()),
        "storage_capacity" => with_home()
            .with(json!({ "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver",
                "metadata": { "name": "local.csi.example.com" }, "spec": { "storageCapacity": true } }))
            .with(class("local.csi.example.com", "WaitForFirstConsumer"))
            .with(of_class()),
        "claim_deleted" => with_home()
            .with(claim(&json!({}), &json!({ "finalizers": ["scenario.test/held"], "deletionTimestamp": "now" }))),
        "claim_lost" | "claim_lost_volume" => with_home().with(claim(
            &json!({ "volumeName": "pv-that-is-gone", "storageClassName": "" }),
            &json!({ "annotations": { "pv.kubernetes.io/bind-completed": "yes" } }),
        )),
        "volume_zone" => {
            let expression = json!({ "key": "kubernetes.io/hostname", "operator": "In", "values": ["node-in-zone-b"] });
            let affinity = json!({ "required": { "nodeSelectorTerms": [{ "matchExpressions": [expression] }] } });
            bound(with_home(), names, "ReadWriteOnce", &affinity)
        }
        "volume_count" => {
            let driver = json!({ "name": CSI_DRIVER, "nodeID": names.own, "topologyKeys": [],
                "allocatable": { "count": 0 } });
            bound(with_home(), names, "ReadWriteOnce", &Value::Null).on_own_node(json!({})).with(json!({
                "apiVersion": "storage.k8s.io/v1", "kind": "CSINode",
                "metadata": { "name": names.own }, "spec": { "drivers": [driver] },
            }))
        }
        "previous_pod" => {
            let held = json!({ "name": format!("{HOME}-{}-0", names.workload),
                "finalizers": ["scenario.test/held"], "deletionTimestamp": "now" });
            let template = json!({ "volumeClaimTemplates": [claim(&json!({}), &json!({}))] });
            with_home().with(claim(&json!({}), &held)).workload(Workload::StatefulSet, template)
        }
        "volume_in_use" => bound(with_home(), names, "ReadWriteOncePod", &Value::Null).with(user()),
        _ => return None,
    })
}

/// The workspace's home, on its claim.
fn home() -> Value {
    json!({ "name": HOME, "emptyDir": null, "persistentVolumeClaim": { "claimName": HOME } })
}

fn claim(spec: &Value, metadata: &Value) -> Value {
    let mut claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": { "name": HOME },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "10Gi" } } },
    });
    super::run::merge(&mut claim["spec"], spec);
    super::run::merge(&mut claim["metadata"], metadata);
    claim
}

/// Adds a volume, and a claim that is bound to it.
fn bound(script: Script, names: &Names, mode: &str, affinity: &Value) -> Script {
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": { "name": names.own },
        "spec": { "capacity": { "storage": "10Gi" }, "accessModes": [mode], "storageClassName": "",
            "csi": { "driver": CSI_DRIVER, "volumeHandle": names.own }, "nodeAffinity": affinity,
            "claimRef": { "namespace": names.namespace, "name": HOME } },
    });
    script
        .with(volume)
        .with(claim(&json!({ "volumeName": names.own, "storageClassName": "", "accessModes": [mode] }), &json!({})))
}

/// A pod that already uses the claim.
fn user() -> Value {
    let mut spec = container(&json!({ "name": "main", "image": "example.com/other:1" }));
    spec["nodeName"] = "node-1".into();
    spec["volumes"] = json!([home()]);
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "user" }, "spec": spec })
}
