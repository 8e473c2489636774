//! Random scenarios: Events and states of a pod, and the lines that its owner reads.
#![expect(clippy::disallowed_methods, reason = "containers end at the real time")]

use anyhow::Result;
use fastrand::Rng;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use logstream_testing::{coder::Line, poll};
use serde_json::{Value, json};

use super::RECOVERY;
use crate::support::count;

/// Kind, reason and message of an Event, and the text of its line. `{}` is the pod's name.
type ScenarioEvent = (&'static str, &'static str, &'static str, &'static str);

const START: &[ScenarioEvent] = &[
    ("Normal", "Scheduled", "Successfully assigned team/{} to node-1", "Successfully assigned team/{} to"),
    ("Normal", "Pulling", "Pulling image \"example/{}:1\"", "Pulling image \"example/{}:1\""),
    (
        "Normal",
        "Pulled",
        "Successfully pulled image \"example/{}:1\" in 1.2s (1.2s including waiting). Image size: 9 bytes.",
        "Successfully pulled image \"example/{}:1\"",
    ),
    ("Normal", "Created", "Created container: dev", "Created container: dev"),
    ("Normal", "Started", "Started container dev", "Started container dev"),
];

const TROUBLE: [&[ScenarioEvent]; 6] = [
    &[(
        "Warning",
        "FailedMount",
        "MountVolume.SetUp failed for volume \"files\" : secret \"of-{}\" not found",
        "secret \"of-{}\" not found",
    )],
    &[(
        "Warning",
        "FailedMount",
        "MountVolume.SetUp failed for volume \"of-{}\" : references non-existent config key: settings.json",
        "failed for volume \"of-{}\"",
    )],
    &[(
        "Warning",
        "FailedAttachVolume",
        "Multi-Attach error for volume \"of-{}\" Volume is already exclusively attached to one node and can't be \
         attached to another",
        "Multi-Attach error for volume \"of-{}\"",
    )],
    &[(
        "Warning",
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for \
         \"of-{}\" is configured",
        "no runtime for \"of-{}\" is configured",
    )],
    &[(
        "Warning",
        "Unhealthy",
        "Readiness probe failed: Get \"http://10.1.2.3:8080/of-{}\": dial tcp 10.1.2.3:8080: connect: connection refused",
        "/of-{}\"",
    )],
    &[("Warning", "Rebooted", "Node of-{} has been rebooted", "Node of-{} has been rebooted")],
];

/// States of a pod that only its status shows, and the text of each line.
const STATES: [(&str, &str); 4] = [
    (
        r#"{"phase":"Running","containerStatuses":[{"state":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]}"#,
        "Container dev was killed: out of memory",
    ),
    (
        r#"{"phase":"Running","containerStatuses":[{"state":{"terminated":{"exitCode":3,"reason":"Error"}}}]}"#,
        "Container dev ended with exit code 3",
    ),
    (
        r#"{"phase":"Failed","reason":"Evicted","message":"The node was low on resource: memory. "}"#,
        "The node was low on resource: memory",
    ),
    (r#"{"phase":"Pending"}"#, ""),
];

/// Events and state of one pod.
pub(super) struct Scenario {
    events: &'static [ScenarioEvent],
    state: (&'static str, &'static str),
}

/// Lines that the pod's owner reads.
#[derive(Default)]
pub(super) struct Expected {
    /// Lines of Events, in this order.
    pub(super) events: Vec<String>,
    /// Line of the pod's status, at any position.
    pub(super) state: Option<String>,
}

impl Expected {
    /// Returns true if each of these lines has arrived.
    pub(super) fn has_come(&self, lines: &[Line]) -> bool {
        self.events.iter().chain(&self.state).all(|text| count(lines, text) > 0)
    }
}

impl Scenario {
    pub(super) fn random(random: &mut Rng) -> Self {
        let (trouble, state) = (TROUBLE[random.usize(..TROUBLE.len())], STATES[random.usize(..STATES.len())]);
        // A pod whose volumes or network are not ready has no container that could end.
        match random.u32(..3) {
            0 => Self { events: &[], state },
            1 => Self { events: START, state },
            _ => Self { events: trouble, state: ("", "") },
        }
    }

    /// Writes the Events and the state, and retries while the API server is away.
    pub(super) async fn happen(&self, client: &Client, pod: &DynamicObject) -> Result<Expected> {
        let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
        let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let mut expected = Expected::default();
        for (place, (kind, reason, message, line)) in self.events.iter().enumerate() {
            let event: Event = serde_json::from_value(json!({
                "metadata": { "name": format!("{name}.scenario.{place}") },
                "involvedObject": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "namespace": namespace,
                    "name": name,
                    "uid": pod.uid(),
                    "fieldPath": if message.contains("image") || message.contains("container") {
                        "spec.containers{dev}"
                    } else { "" },
                },
                "type": kind,
                "reason": reason,
                "message": message.replace("{}", &name),
                "count": 1,
                "source": { "component": "kubelet" },
            }))?;
            poll::eventually("an Event is written", RECOVERY, || async {
                match events.create(&PostParams::default(), &event).await {
                    Ok(_) => Ok(()),
                    // An earlier attempt without a response has succeeded.
                    Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
                    Err(error) => Err(error),
                }
            })
            .await?;
            expected.events.push(line.replace("{}", &name));
        }
        let (status, line) = self.state;
        if !line.is_empty() {
            set_status(&Api::namespaced(client.clone(), &namespace), &name, serde_json::from_str(status)?).await?;
            expected.state = Some(line.to_owned());
        }
        Ok(expected)
    }
}

async fn set_status(pods: &Api<Pod>, name: &str, mut status: Value) -> Result<()> {
    if let Some(container) = status.pointer_mut("/containerStatuses/0") {
        let ended = container["state"]["terminated"].clone();
        *container = json!({ "name": "dev", "image": "example", "imageID": "", "ready": false, "restartCount": 0 });
        container["state"]["terminated"] = ended;
        let now = json!(Timestamp::from_second(Timestamp::now().as_second())?);
        container["state"]["terminated"]["startedAt"] = now.clone();
        container["state"]["terminated"]["finishedAt"] = now;
    }
    let patch = Patch::Merge(json!({ "status": status }));
    poll::eventually("a status is written", RECOVERY, || async {
        pods.patch_status(name, &PatchParams::default(), &patch).await.map(drop)
    })
    .await
}
