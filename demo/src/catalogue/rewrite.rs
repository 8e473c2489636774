//! Replaces names, UIDs and times of a recording by those in the demo's cluster.

use jiff::Timestamp;
use logstream_scenarios::Recording;
use serde_json::{Value, json};

use super::warp::Warp;

/// The recorded namespace, as it precedes a name in messages.
const RECORDED_NAMESPACE: &str = "workspaces";

/// The object that a recording is played with.
#[derive(Debug)]
pub(super) struct Played<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
    pub(super) recording: &'a Recording,
    pub(super) warp: &'a Warp,
}

impl Played<'_> {
    /// A status as the kubelet would write it for this pod.
    pub(super) fn status(&self, recorded: &Value) -> Value {
        let mut status = self.value("", recorded);
        for key in ["initContainerStatuses", "containerStatuses"] {
            for container in status[key].as_array_mut().into_iter().flatten() {
                for (field, value) in [("ready", json!(false)), ("image", json!("")), ("imageID", json!(""))] {
                    if container[field].is_null() {
                        container[field] = value;
                    }
                }
            }
        }
        status
    }

    /// An Event about this object. Events of the newer API are written in the older form, which needs fewer fields.
    pub(super) fn event(&self, recorded: &Value) -> Value {
        let event = self.value("", recorded);
        let count = recorded["series"]["count"].as_i64().or(recorded["count"].as_i64()).unwrap_or(1);
        let first = |keys: [&str; 2]| {
            let times = keys.map(|key| event[key].clone());
            times.into_iter().find(|time| !time.is_null())
        };
        let mut about = event["involvedObject"].clone();
        let namespace = if about["kind"] == "Node" {
            // Kubernetes writes Events of cluster-scoped objects to this namespace.
            "default"
        } else {
            about["namespace"] = self.namespace.into();
            self.namespace
        };
        about["apiVersion"] = api_version(about["kind"].as_str().unwrap_or_default()).into();
        json!({
            "metadata": { "name": event["metadata"]["name"], "namespace": namespace },
            "involvedObject": about,
            "reason": event["reason"],
            "message": event["message"],
            "type": event["type"],
            "count": count,
            "firstTimestamp": first(["firstTimestamp", "eventTime"]),
            "lastTimestamp": first(["lastTimestamp", "eventTime"]),
            "source": { "component": "scenario" },
            "reportingComponent": "scenario",
        })
    }

    fn value(&self, key: &str, recorded: &Value) -> Value {
        match recorded {
            Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), self.value(key, value))).collect(),
            Value::Array(items) => items.iter().map(|item| self.value(key, item)).collect(),
            Value::String(text) => self.text(key, text).into(),
            other => other.clone(),
        }
    }

    fn text(&self, key: &str, text: &str) -> String {
        let is_time = ["Time", "Timestamp", "At"].iter().any(|end| key.ends_with(end));
        if let Some(recorded) = text.parse::<Timestamp>().ok().filter(|_| is_time) {
            return self.warp.time(recorded).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        }
        let recorded = self.recording.name();
        let uid = self.recording.object["uid"].as_str().unwrap_or_default();
        text.replace(&format!("{RECORDED_NAMESPACE}/{recorded}"), &format!("{}/{}", self.namespace, self.name))
            .replace(&format!("_{RECORDED_NAMESPACE}("), &format!("_{}(", self.namespace))
            .replace(recorded, self.name)
            .replace(uid, self.uid)
    }
}

fn api_version(kind: &str) -> &'static str {
    match kind {
        "ReplicaSet" | "StatefulSet" | "Deployment" => "apps/v1",
        "Job" => "batch/v1",
        _ => "v1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times_are_those_of_the_cluster() {
        let recording = Recording::captured("drained");
        let began: Timestamp = "2027-01-01T10:00:00Z".parse().unwrap();
        let warp = Warp::new(&recording, began);
        let played =
            Played { namespace: "ns", name: "coder-ada-x", uid: "the-uid", recording: &recording, warp: &warp };
        for step in &recording.steps {
            let text = match &step.change {
                logstream_scenarios::Change::Event(event) => played.event(event),
                logstream_scenarios::Change::Status(status, _) => played.status(status),
                logstream_scenarios::Change::Gone => continue,
            };
            let text = text.to_string();
            assert!(!text.contains("coder-ada-drained") && !text.contains("2026-"), "{text}");
            assert!(!text.contains("677d97c7-7549-4b2a-bd7e-60d989a7a3d9"), "{text}");
        }
    }
}
