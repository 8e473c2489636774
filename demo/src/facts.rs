//! Facts from the API server and the time each became known. Log lines are matched against them.
//!
//! The demo has its own watch of the API server, independent of the product, so the measured latency of a line does not
//! depend on the product's clock. (Timestamps in Events and pods have whole seconds only.)

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::wording::{self, without_pod_name};

/// Something the API server reported at a point in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    /// The namespace of the object it is about.
    pub(crate) namespace: String,
    /// The name of the object it is about.
    pub(crate) name: String,
    /// Beginning of a line about it.
    pub(crate) text: String,
    /// Number of occurrences so far.
    pub(crate) times: u32,
    /// Time at which the demo's watch received it.
    pub(crate) at: Instant,
}

/// The facts so far, in the order they became known.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    list: Vec<Fact>,
    /// Occurrences by object (`NAMESPACE/NAME`) and text.
    totals: HashMap<(String, String), u32>,
    /// Last seen count of each Event, by UID.
    events: HashMap<String, u32>,
    /// Facts already recorded, by UID and key: every update of a pod repeats its whole status.
    seen: HashSet<(String, String)>,
}

impl Facts {
    /// All facts so far.
    pub(crate) fn list(&self) -> &[Fact] {
        &self.list
    }

    /// Records a new or changed pod.
    pub(crate) fn pod(&mut self, at: Instant, pod: &Pod) {
        let meta = &pod.metadata;
        self.once(at, meta, "created", &wording::created_pod(name(meta)));
        let Some(status) = &pod.status else { return };
        if status.phase.as_deref() == Some("Failed") {
            self.once(at, meta, "failed", status.message.as_deref().unwrap_or_default());
        }
        for condition in status.conditions.iter().flatten() {
            if condition.reason.as_deref() == Some("Unschedulable") {
                let message = condition.message.as_deref().unwrap_or_default();
                self.once(at, meta, &format!("unschedulable {message}"), message);
            }
        }
        let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
        for container in containers {
            self.container(at, meta, container);
        }
    }

    /// Records a deleted pod.
    pub(crate) fn pod_gone(&mut self, at: Instant, pod: &Pod) {
        self.once(at, &pod.metadata, "deleted", &wording::deleted_pod(name(&pod.metadata)));
    }

    /// Records a new or changed ReplicaSet.
    pub(crate) fn replica_set(&mut self, at: Instant, set: &ReplicaSet) {
        self.once(at, &set.metadata, "created", &wording::queued_pod(name(&set.metadata)));
    }

    /// Records a deleted ReplicaSet.
    pub(crate) fn replica_set_gone(&mut self, at: Instant, set: &ReplicaSet) {
        self.once(at, &set.metadata, "deleted", &wording::deleted_replica_set(name(&set.metadata)));
    }

    /// Records a new or repeated Event.
    pub(crate) fn event(&mut self, at: Instant, event: &Event) {
        let series = event.series.as_ref().and_then(|series| series.count);
        let times = series.or(event.count).and_then(|count| u32::try_from(count).ok()).unwrap_or(1).max(1);
        let uid = event.metadata.uid.clone().unwrap_or_default();
        let before = self.events.insert(uid, times).unwrap_or_default();
        if times > before {
            let about = &event.involved_object;
            let namespace = about.namespace.clone().unwrap_or_default();
            let name = about.name.clone().unwrap_or_default();
            let text = event.message.clone().unwrap_or_default();
            self.add(at, namespace, name, &text, times - before);
        }
    }

    fn container(&mut self, at: Instant, meta: &ObjectMeta, container: &ContainerStatus) {
        let terminated = |state: &Option<ContainerState>| state.as_ref().and_then(|state| state.terminated.clone());
        // The last state is the end of the previous run.
        let ends = [
            (terminated(&container.last_state), container.restart_count - 1),
            (terminated(&container.state), container.restart_count),
        ];
        for (end, run) in ends {
            if let Some(ContainerStateTerminated { exit_code, reason, .. }) = end {
                let text = wording::ended(&container.name, exit_code, reason.as_deref().unwrap_or_default());
                self.once(at, meta, &format!("end {} {run}", container.name), &text);
            }
        }
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        if let Some(text) = waiting.and_then(|waiting| wording::waiting(&container.name, waiting.reason.as_deref()?)) {
            self.once(at, meta, &format!("waiting {text}"), &text);
        }
    }

    fn once(&mut self, at: Instant, meta: &ObjectMeta, what: &str, text: &str) {
        if self.seen.insert((meta.uid.clone().unwrap_or_default(), what.to_owned())) {
            self.add(at, meta.namespace.clone().unwrap_or_default(), name(meta).to_owned(), text, 1);
        }
    }

    fn add(&mut self, at: Instant, namespace: String, name: String, text: &str, more: u32) {
        let text = without_pod_name(text);
        let total = self.totals.entry((format!("{namespace}/{name}"), text.clone())).or_default();
        *total += more;
        let times = *total;
        self.list.push(Fact { namespace, name, text, times, at });
    }
}

fn name(meta: &ObjectMeta) -> &str {
    meta.name.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn facts(of: impl FnOnce(&mut Facts)) -> Vec<(String, u32)> {
        let mut facts = Facts::default();
        of(&mut facts);
        facts.list().iter().map(|fact| (fact.text.clone(), fact.times)).collect()
    }

    fn event(uid: &str, message: &str, count: u32) -> Event {
        serde_json::from_value(json!({
            "metadata": { "uid": uid },
            "involvedObject": { "namespace": "ns", "name": "ws-1" },
            "message": message,
            "count": count,
        }))
        .unwrap()
    }

    fn pod(container: &Value) -> Pod {
        let metadata = json!({ "uid": "u", "name": "ws-1-a", "namespace": "ns" });
        let mut container = container.clone();
        for (key, value) in [("name", "dev"), ("image", ""), ("imageID", "")] {
            container[key] = value.into();
        }
        container["ready"] = false.into();
        serde_json::from_value(json!({ "metadata": metadata, "status": { "containerStatuses": [container] } })).unwrap()
    }

    #[test]
    fn a_repeated_event_is_a_fact_again_and_a_resync_is_not() {
        let seen = facts(|facts| {
            for count in [1, 1, 3] {
                facts.event(Instant::now(), &event("a", "Back-off", count));
            }
        });
        assert_eq!(seen, [("Back-off".to_owned(), 1), ("Back-off".to_owned(), 3)]);
    }

    #[test]
    fn refusals_of_one_workload_are_counted_for_any_pod_name() {
        let seen = facts(|facts| {
            facts.event(Instant::now(), &event("a", "Error creating: pods \"ws-1-a\" is forbidden", 1));
            facts.event(Instant::now(), &event("b", "Error creating: pods \"ws-1-b\" is forbidden", 1));
        });
        assert_eq!(seen.iter().map(|(_, times)| *times).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(seen[0].0, seen[1].0);
    }

    #[test]
    fn each_end_of_a_container_is_recorded_once_and_counted() {
        let end = json!({ "terminated": { "exitCode": 1, "reason": "Error" } });
        let seen = facts(|facts| {
            let now = Instant::now();
            facts.pod(now, &pod(&json!({ "restartCount": 0, "state": end })));
            facts.pod(now, &pod(&json!({ "restartCount": 1, "state": { "running": {} }, "lastState": end })));
            facts.pod(now, &pod(&json!({ "restartCount": 1, "state": end, "lastState": end })));
        });
        let ends: Vec<_> = seen.iter().filter(|(text, _)| text.contains("exit code 1")).map(|(_, n)| *n).collect();
        assert_eq!(ends, [1, 2]);
    }
}
