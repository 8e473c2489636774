//! Objects that a pod depends on and that carry no agent: its volume claims and its node.
//!
//! These objects are not read from the API server. Their Events reach the pods that name them in their own spec.

use std::{fmt, sync::Arc};

use crate::{
    causes,
    object::{Event, Pod},
};

/// Namespace in which Kubernetes writes the Events of objects without one.
pub const CLUSTER_EVENTS: &str = "default";

/// Object that a pod depends on, by name: a pod's spec does not contain its UID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependency {
    /// A volume claim.
    Claim {
        /// Its namespace, which is the pod's.
        namespace: Arc<str>,
        /// Its name.
        name: Arc<str>,
    },
    /// A node.
    Node(Arc<str>),
}

impl Dependency {
    /// Returns the object that an Event is about, if pods depend on it and it can lead to a line: any Event of a claim,
    /// and the Events of a node that the catalogue lists as relevant to its pods.
    ///
    /// Controllers always set a claim's UID, so an Event without one is not about a claim. For a node, only Events in
    /// [`CLUSTER_EVENTS`] count, because the kubelet and the controllers write them there.
    pub fn of_event(event: &Event) -> Option<Self> {
        let about = &event.involved_object;
        match about.kind.as_str() {
            "PersistentVolumeClaim" if about.uid.is_some() && event.stays_in_its_namespace() => Some(Self::Claim {
                namespace: event.metadata.namespace.as_str().into(),
                name: about.name.as_str().into(),
            }),
            "Node" if event.metadata.namespace == CLUSTER_EVENTS && event.stays_in_its_namespace() => {
                causes::of_node(event).map(|_| Self::Node(about.name.as_str().into()))
            }
            _ => None,
        }
    }

    /// Returns the dependencies of a pod: its claims, then its node once it has one.
    pub fn of_pod(pod: &Pod, namespace: &Arc<str>) -> Vec<Self> {
        let volumes = pod.spec.volumes.iter().filter_map(|volume| {
            let name = match (&volume.persistent_volume_claim, &volume.ephemeral) {
                (Some(claim), _) => claim.claim_name.as_str().into(),
                (None, Some(_)) => format!("{}-{}", pod.metadata.name, volume.name).into(),
                (None, None) => return None,
            };
            Some(Self::Claim { namespace: namespace.clone(), name })
        });
        let mut all: Vec<Self> = Vec::new();
        for claim in volumes {
            if !all.contains(&claim) {
                all.push(claim);
            }
        }
        if !pod.spec.node_name.is_empty() {
            all.push(Self::Node(pod.spec.node_name.as_str().into()));
        }
        all
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim { namespace, name } => write!(f, "PersistentVolumeClaim {namespace}/{name}"),
            Self::Node(name) => write!(f, "Node {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of_event(namespace: &str, about: &Value, reason: &str) -> Option<String> {
        let event = json!({"metadata": {"name": "e", "namespace": namespace}, "involvedObject": about,
            "reason": reason, "message": "m"});
        Dependency::of_event(&serde_json::from_value(event).unwrap()).map(|dependency| dependency.to_string())
    }

    #[test]
    fn an_event_is_about_a_claim_of_its_namespace() {
        let claim = json!({"kind": "PersistentVolumeClaim", "namespace": "ns", "name": "home", "uid": "u"});
        let found = of_event("ns", &claim, "ProvisioningFailed");
        assert_eq!(found.as_deref(), Some("PersistentVolumeClaim ns/home"));
        assert_eq!(of_event("other", &claim, "ProvisioningFailed"), None);
        let without_uid = json!({"kind": "PersistentVolumeClaim", "namespace": "ns", "name": "home"});
        assert_eq!(of_event("ns", &without_uid, "ProvisioningFailed"), None);
    }

    #[test]
    fn of_a_nodes_events_those_that_matter_to_its_pods_count() {
        let node = |namespace: &str| json!({"kind": "Node", "namespace": namespace, "name": "node-1", "uid": "node-1"});
        for reason in ["NodeNotReady", "Rebooted", "SystemOOM", "OOMKilling", "EvictionThresholdMet", "Shutdown"] {
            assert_eq!(of_event("default", &node(""), reason).as_deref(), Some("Node node-1"), "{reason}");
        }
        for reason in ["NodeHasDiskPressure", "NodeHasInsufficientPID", "SpotInterrupted", "DisruptionTerminating"] {
            assert_eq!(of_event("default", &node("default"), reason).as_deref(), Some("Node node-1"), "{reason}");
        }
        for reason in ["NodeReady", "RegisteredNode", "NodeHasSufficientMemory", "Starting", "CheckLimitsForResolvConf"]
        {
            assert_eq!(of_event("default", &node(""), reason), None, "{reason}");
        }
        assert_eq!(of_event("team", &node("team"), "NodeNotReady"), None);
        assert_eq!(of_event("team", &node(""), "NodeNotReady"), None);
    }

    #[test]
    fn a_pod_depends_on_its_claims_and_its_node() {
        let volumes = json!([{"name": "home", "persistentVolumeClaim": {"claimName": "alice"}},
            {"name": "again", "persistentVolumeClaim": {"claimName": "alice"}}, {"name": "tmp", "emptyDir": {}},
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]);
        let pod = |node: &str| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": "ws"}, "spec": {"volumes": volumes, "nodeName": node}}))
                .unwrap()
        };
        let names = |pod: &Pod| -> Vec<String> {
            Dependency::of_pod(pod, &"ns".into()).iter().map(ToString::to_string).collect()
        };
        let claims = ["PersistentVolumeClaim ns/alice", "PersistentVolumeClaim ns/ws-scratch"];
        assert_eq!(names(&pod("")), claims);
        assert_eq!(names(&pod("node-1")), [claims[0], claims[1], "Node node-1"]);
    }
}
