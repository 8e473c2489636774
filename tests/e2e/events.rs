//! Events as written by components of Kubernetes.
#![expect(clippy::disallowed_methods, reason = "Events carry the real time")]

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use logstream_testing::coder::Line;
use serde_json::{Value, json};

use crate::support::{TestContext, token};

/// The reporting component of the tests' Events.
pub(crate) const SOURCE: &str = "test";

/// Builder of an Event about an object.
pub(crate) struct NewEvent<'a> {
    about: &'a DynamicObject,
    kind: &'a str,
    reason: &'a str,
    message: &'a str,
    uid: Option<String>,
    at: Option<Timestamp>,
}

impl<'a> NewEvent<'a> {
    /// A normal Event.
    pub(crate) fn normal(about: &'a DynamicObject, reason: &'a str, message: &'a str) -> Self {
        Self { about, kind: "Normal", reason, message, uid: None, at: None }
    }

    /// A warning.
    pub(crate) fn warning(about: &'a DynamicObject, reason: &'a str, message: &'a str) -> Self {
        Self { kind: "Warning", ..Self::normal(about, reason, message) }
    }

    /// Sets another UID than the object's.
    pub(crate) fn of_uid(self, uid: &str) -> Self {
        Self { uid: Some(uid.to_owned()), ..self }
    }

    /// Sets another time than now, as from a wrong clock.
    pub(crate) fn at(self, at: Timestamp) -> Self {
        Self { at: Some(at), ..self }
    }

    /// Writes it like kubelets and controllers: with a count, and times in whole seconds.
    pub(crate) async fn write(self, client: &Client) -> Result<Event> {
        let now = seconds(self.at.unwrap_or_else(Timestamp::now));
        let times =
            json!({ "count": 1, "firstTimestamp": now, "lastTimestamp": now, "source": { "component": SOURCE } });
        self.create(client, times).await
    }

    /// Writes it like the scheduler: without a count.
    pub(crate) async fn write_as_scheduler(self, client: &Client) -> Result<Event> {
        let times = json!({
            "eventTime": micros(Timestamp::now()),
            "action": "Scheduling",
            "reportingComponent": SOURCE,
            "reportingInstance": SOURCE,
        });
        self.create(client, times).await
    }

    async fn create(self, client: &Client, times: Value) -> Result<Event> {
        let Self { about, kind, reason, message, uid, at: _ } = self;
        let namespace = about.namespace().context("a namespaced object")?;
        let types = about.types.as_ref().context("a typed object")?;
        let mut event = json!({
            "metadata": { "name": format!("{}.{}", about.name_any(), token()), "namespace": namespace },
            "involvedObject": {
                "apiVersion": types.api_version,
                "kind": types.kind,
                "namespace": namespace,
                "name": about.name_any(),
                "uid": uid.or_else(|| about.uid()),
            },
            "type": kind,
            "reason": reason,
            "message": message,
        });
        if let (Value::Object(event), Value::Object(times)) = (&mut event, times) {
            event.extend(times);
        }
        Ok(events(client, &namespace).create(&PostParams::default(), &serde_json::from_value(event)?).await?)
    }
}

/// Repeats an Event: sets its count, with a last time of `over` after its first.
pub(crate) async fn raise(client: &Client, event: &Event, count: u32, over: SignedDuration) -> Result<()> {
    let first = event.first_timestamp.as_ref().context("a counted Event")?.0;
    patch(client, event, &json!({ "count": count, "lastTimestamp": seconds(first + over) })).await
}

/// The same for an Event of the scheduler.
pub(crate) async fn raise_series(client: &Client, event: &Event, count: u32, over: SignedDuration) -> Result<()> {
    let first = event.event_time.as_ref().context("a scheduler's Event")?.0;
    patch(client, event, &json!({ "series": { "count": count, "lastObservedTime": micros(first + over) } })).await
}

async fn patch(client: &Client, event: &Event, patch: &Value) -> Result<()> {
    let namespace = event.namespace().context("a namespaced object")?;
    events(client, &namespace).patch(&event.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// Writes a marker Event about an object and waits for its line. Lines of earlier Events have arrived by then, or never
/// will.
pub(crate) async fn marker(context: &TestContext, agent: &str, about: &DynamicObject) -> Result<Vec<Line>> {
    let message = format!("marker {}", token());
    NewEvent::normal(about, "Marker", &message).write(&context.client).await?;
    context.wait_for(agent, &[&message]).await
}

fn events(client: &Client, namespace: &str) -> Api<Event> {
    Api::namespaced(client.clone(), namespace)
}

fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
