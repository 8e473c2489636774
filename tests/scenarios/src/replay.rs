//! Replays a recording through the correlator and the renderer, without a cluster, to the lines that its owner reads.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use logstream_core::{
    causes::{Cause, explain},
    checkpoint::Checkpoint,
    correlate::{Arrival, Correlator, Effect, Limits, Object, Observation, Registrations},
    fact_id::ScopeId,
    identity::{Subject, Uid},
    line::Level,
    render::{LogStyle, render},
    resource::Kind,
};
use serde_json::{Value, json};

use crate::recording::{Change, Recording};

const TOKEN: &str = "11111111-1111-4111-8111-111111111111";
const EVENTS: ScopeId = ScopeId(0);
const OBJECTS: ScopeId = ScopeId(1);

/// A line of a log.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// Whole seconds since the object was created.
    pub after: i64,
    /// Its level.
    pub level: Level,
    /// Its text, without colours.
    pub text: String,
    /// The causes of its finding.
    pub causes: Vec<&'static Cause>,
}

/// Treats every object as registered.
struct AllRegistered;

impl Registrations for AllRegistered {
    fn is_registered(&self, _: &Subject) -> bool {
        true
    }

    fn confirm(&self, _: &Subject, _: Option<Uid>) -> bool {
        true
    }
}

struct Replay {
    correlator: Correlator,
    now: Timestamp,
    created: Timestamp,
    log: Vec<Replayed>,
}

impl Replay {
    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let Effect::Finding(finding) = effect else { continue };
            let line = render(&finding, LogStyle::Plain, |_| false);
            let after = self.now.duration_since(self.created).as_secs();
            let causes = explain(&finding.kind).causes;
            self.log.push(Replayed { after, level: line.level, text: line.text, causes });
        }
    }

    fn until(&mut self, at: Timestamp) {
        while self.now + SignedDuration::from_secs(1) < at {
            self.now += SignedDuration::from_secs(1);
            let effects = self.correlator.tick(self.now);
            self.take(effects);
        }
        self.now = self.now.max(at);
    }

    fn observe(&mut self, observation: Observation) {
        let effects = self.correlator.observe(self.now, observation);
        self.take(effects);
    }
}

/// The log of a recording that continues for `afterwards` seconds after its last step.
///
/// # Panics
/// If the recording is broken.
pub fn replay(recording: &Recording, afterwards: i64) -> Vec<Replayed> {
    let created = recording.created();
    let mut correlator = Correlator::new(Arc::new(AllRegistered), Limits::default(), true);
    for scope in [EVENTS, OBJECTS] {
        let from = Checkpoint { created_since: created, status_until: created, ..Checkpoint::default() };
        correlator.observe(created, Observation::Started { scope, from: Box::new(from) });
    }
    let mut replay = Replay { correlator, now: created, created, log: Vec::new() };
    let mut last = (Value::Null, Value::Null);
    for (revision, step) in recording.steps.iter().enumerate() {
        replay.until(step.at);
        replay.observe(match &step.change {
            Change::Event(event) => {
                Observation::Event { scope: EVENTS, event: Box::new(serde_json::from_value(event.clone()).unwrap()) }
            }
            Change::Gone => Observation::Gone { scope: OBJECTS, object: object(recording, &last, revision) },
            Change::Status(status, deleted) => {
                last = (status.clone(), deleted.clone());
                let object = object(recording, &last, revision);
                Observation::Seen { scope: OBJECTS, object, how: Arrival::Watched }
            }
        });
    }
    let end = replay.now + SignedDuration::from_secs(afterwards);
    replay.until(end);
    replay.log
}

fn object(recording: &Recording, (status, deleted): &(Value, Value), revision: usize) -> Object {
    let spec = &recording.object;
    let containers = |key: &str| -> Vec<Value> {
        let mut containers = spec[key].as_array().cloned().unwrap_or_default();
        for container in &mut containers {
            container["env"] = json!([{"name": "CODER_AGENT_TOKEN", "value": TOKEN}]);
        }
        containers
    };
    let metadata = json!({"name": spec["name"], "namespace": spec["namespace"], "uid": spec["uid"],
        "creationTimestamp": spec["creationTimestamp"], "deletionTimestamp": deleted,
        "resourceVersion": (1_000 + revision).to_string()});
    let pod = json!({"containers": containers("containers"), "initContainers": containers("initContainers"),
        "restartPolicy": spec["restartPolicy"], "nodeName": spec["nodeName"].as_str().unwrap_or_default(),
        "volumes": spec["volumes"].as_array().cloned().unwrap_or_default()});
    match Kind::parse(recording.kind) {
        Some(Kind::Pod) => {
            let pod = json!({"metadata": metadata, "spec": pod, "status": status});
            Object::Pod(Box::new(serde_json::from_value(pod).unwrap()))
        }
        kind => {
            let workload = json!({"metadata": metadata, "spec": {"template": {"spec": pod}}});
            Object::Workload(kind.unwrap(), Box::new(serde_json::from_value(workload).unwrap()))
        }
    }
}
