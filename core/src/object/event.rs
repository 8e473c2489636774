//! Events.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    decode::{bare, number, time, uid},
    meta::Meta,
};
use crate::{
    dependency::Dependency,
    identity::{Subject, Uid},
    resource::Kind,
    text,
};

/// A core/v1 Event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// Its metadata, without labels, annotations and owners.
    #[serde(deserialize_with = "bare")]
    pub metadata: Meta,
    /// Object that the Event is about.
    pub involved_object: InvolvedObject,
    /// Reason, such as `FailedScheduling`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Human-readable message; at most 2 KiB are kept.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
    /// Type: `Normal` or `Warning`.
    #[serde(rename = "type", deserialize_with = "text::word")]
    pub kind: String,
    /// Number of occurrences in Events of controllers and kubelets; absent in the scheduler's.
    #[serde(deserialize_with = "number")]
    pub count: u32,
    /// Time of the first occurrence in Events of controllers and kubelets.
    #[serde(deserialize_with = "time")]
    pub first_timestamp: Option<Timestamp>,
    /// Time of the last occurrence in Events of controllers and kubelets.
    #[serde(deserialize_with = "time")]
    pub last_timestamp: Option<Timestamp>,
    /// Time of the first occurrence in Events of the scheduler.
    #[serde(deserialize_with = "time")]
    pub event_time: Option<Timestamp>,
    /// Repeats in Events of the scheduler.
    pub series: Option<Series>,
}

impl Event {
    /// Returns the time of its last occurrence: series.lastObservedTime, else lastTimestamp, else eventTime, else
    /// creationTimestamp.
    pub fn time(&self) -> Option<Timestamp> {
        self.series
            .as_ref()
            .and_then(|series| series.last_observed_time)
            .or(self.last_timestamp)
            .or(self.event_time)
            .or(self.metadata.creation_timestamp)
    }

    /// Returns the time of its first occurrence.
    pub fn since(&self) -> Option<Timestamp> {
        self.first_timestamp.or(self.event_time).or(self.metadata.creation_timestamp)
    }

    /// Returns the number of its occurrences, at least 1.
    pub fn times(&self) -> u32 {
        self.series.as_ref().map_or(self.count, |series| series.count).max(1)
    }

    /// Returns the object it is about, if its kind is watched. The UID is [`Uid::UNKNOWN`] if the Event has none.
    pub fn subject(&self) -> Option<Subject> {
        let about = &self.involved_object;
        let namespace = if about.namespace.is_empty() { &self.metadata.namespace } else { &about.namespace };
        Some(Subject {
            kind: Kind::parse(&about.kind)?,
            namespace: namespace.as_str().into(),
            name: about.name.as_str().into(),
            uid: about.uid.unwrap_or(Uid::UNKNOWN),
        })
    }

    /// True if it can lead to a line.
    pub fn is_relevant(&self) -> bool {
        self.subject().is_some() || Dependency::of_event(self).is_some()
    }

    /// True if it is about an object in its own namespace. The API server does not check this for an Event with an
    /// eventTime, so anyone who may write Events in some namespace could write about any object.
    pub fn stays_in_its_namespace(&self) -> bool {
        let about = &self.involved_object.namespace;
        about.is_empty() || *about == self.metadata.namespace
    }
}

/// `involvedObject` of an Event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InvolvedObject {
    /// Kind of the object; may be any.
    #[serde(deserialize_with = "text::word")]
    pub kind: String,
    /// Its namespace.
    #[serde(deserialize_with = "text::name")]
    pub namespace: String,
    /// Its name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// Its UID.
    #[serde(deserialize_with = "uid")]
    pub uid: Option<Uid>,
    /// Part of the object, such as `spec.containers{dev}`.
    #[serde(deserialize_with = "text::name")]
    pub field_path: String,
}

/// `series` of an Event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Series {
    /// Number of occurrences.
    #[serde(deserialize_with = "number")]
    pub count: u32,
    /// Time of the last occurrence.
    #[serde(deserialize_with = "time")]
    pub last_observed_time: Option<Timestamp>,
}
