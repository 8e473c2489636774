//! Selectors of the objects and Events that the API server returns.

use logstream_core::correlate::Object;

use crate::config::LabelSelector;

/// The user's selectors; they apply to pods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selectors {
    /// A field selector, such as `spec.nodeName!=virtual`.
    pub field: Option<String>,
    /// A label selector, such as `com.coder.resource=true`.
    pub label: Option<LabelSelector>,
}

impl Selectors {
    /// The label selector in the API server's syntax.
    pub(super) fn label_text(&self) -> Option<String> {
        self.label.as_ref().map(ToString::to_string)
    }

    /// True if the object is a selected pod, or a workload that creates such pods. The API server has already left out
    /// other pods. A workload is selected by the labels of its template, which the API server cannot filter by.
    pub(super) fn selects(&self, object: &Object) -> bool {
        match (object, &self.label) {
            (Object::Workload(_, workload), Some(label)) => label.matches(&workload.spec.template.metadata.labels),
            (Object::Workload(..), None) | (Object::Pod(_), _) => true,
        }
    }

    /// Narrows the selection to the object with this name. The name must have been validated.
    pub(super) fn with_name(&self, name: &str) -> Self {
        let name = format!("metadata.name={name}");
        let field = match self.field.as_deref().map(str::trim).filter(|field| !field.is_empty()) {
            Some(field) => format!("{field},{name}"),
            None => name,
        };
        Self { field: Some(field), label: self.label.clone() }
    }
}

/// Kinds with many Events that no line is about. The API server leaves them out. Events of other kinds that are not
/// explained are few, and are dropped here. A single watch for all kinds keeps their order.
const NOISY: [&str; 10] = [
    "CronJob",
    "DaemonSet",
    "EndpointSlice",
    "Endpoints",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Lease",
    "PersistentVolume",
    "PodDisruptionBudget",
    "Service",
];

/// Reason of an Event of a Deployment that only repeats an Event of its ReplicaSet, at each start of a workspace.
const SCALED: &str = "ScalingReplicaSet";

/// Reasons of Events that each node causes now and then and that concern no pod.
const NOISY_OF_NODES: [&str; 7] = [
    "NodeAllocatableEnforced",
    "NodeHasNoDiskPressure",
    "NodeHasSufficientMemory",
    "NodeHasSufficientPID",
    "NodeReady",
    "NodeSchedulable",
    "RegisteredNode",
];

/// Field selector of the watch for Events, with or without those of nodes.
pub(super) fn of_events(with_nodes: bool) -> String {
    let kinds = NOISY.into_iter().chain((!with_nodes).then_some("Node"));
    let mut terms: Vec<String> = kinds.map(|kind| format!("involvedObject.kind!={kind}")).collect();
    terms.push(format!("reason!={SCALED}"));
    if with_nodes {
        terms.extend(NOISY_OF_NODES.map(|reason| format!("reason!={reason}")));
    }
    terms.join(",")
}

/// Field selector of the watch for Events of nodes only.
pub(super) fn of_node_events() -> String {
    let reasons = NOISY_OF_NODES.map(|reason| format!(",reason!={reason}")).concat();
    format!("involvedObject.kind=Node{reasons}")
}

#[cfg(test)]
mod tests {
    use logstream_core::{object::Workload, resource::Kind};
    use serde_json::json;

    use super::*;

    fn label(text: &str) -> LabelSelector {
        LabelSelector::parse(text).unwrap()
    }

    #[test]
    fn no_kind_that_is_explained_is_left_out() {
        assert!(NOISY.into_iter().all(|kind| Kind::parse(kind).is_none()));
        let without = of_events(false);
        assert!(without.starts_with("involvedObject.kind!=CronJob,involvedObject.kind!=DaemonSet,"), "{without}");
        assert!(without.ends_with(",involvedObject.kind!=Node,reason!=ScalingReplicaSet"), "{without}");
        let with = of_events(true);
        assert!(!with.contains("kind!=Node") && with.ends_with(",reason!=RegisteredNode"), "{with}");
    }

    #[test]
    fn a_workload_is_selected_by_the_labels_of_its_pods() {
        let replicaset = |labels: serde_json::Value| {
            let json = json!({
                "metadata": {"labels": {"team": "b"}},
                "spec": {"template": {"metadata": {"labels": labels}}},
            });
            let workload: Workload = serde_json::from_value(json).unwrap();
            Object::Workload(Kind::ReplicaSet, Box::new(workload))
        };
        let team_a = Selectors { label: Some(label("team=a")), ..Selectors::default() };
        assert!(team_a.selects(&replicaset(json!({"team": "a"}))));
        assert!(!team_a.selects(&replicaset(json!({"team": "b"}))));
        assert!(Selectors::default().selects(&replicaset(json!({}))));
        assert!(team_a.selects(&Object::Pod(Box::default())));
    }

    #[test]
    fn a_name_narrows_the_users_selection() {
        let user = Selectors { field: Some("spec.nodeName=n".into()), label: Some(label("a=b")) };
        let one = user.with_name("dev");
        assert_eq!(one.field.as_deref(), Some("spec.nodeName=n,metadata.name=dev"));
        assert_eq!(one.label_text().as_deref(), Some("a=b"));
        assert_eq!(Selectors::default().with_name("dev").field.as_deref(), Some("metadata.name=dev"));
    }
}
