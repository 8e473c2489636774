//! Decoding of watched objects: the core's types, with just the metadata that kube needs in addition.
//!
//! An object that does not decode must neither end a watch nor appear in a log through an error. It becomes a
//! [`Partial`] without content, and the decoder's message, which may quote a value, is dropped.

use std::{borrow::Cow, fmt::Debug};

use kube::{api::ObjectMeta, core::DynamicResourceScope};
use logstream_core::{
    correlate::Object,
    object::{Event, Meta, Pod, Workload},
    resource::Resource,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

/// A decoded object, as the correlator takes it.
pub(super) enum Fact {
    Event(Box<Event>),
    Object(Object),
}

/// A type that watched objects are decoded to.
pub(super) trait Decoded: DeserializeOwned + Clone + Debug + Send + Sync + 'static {
    /// The object's metadata.
    fn meta(&self) -> &Meta;

    /// Converts the object for the correlator; `None` if objects of this resource are not decoded to this type.
    fn into_fact(self, resource: Resource) -> Option<Fact>;
}

impl Decoded for Event {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn into_fact(self, _: Resource) -> Option<Fact> {
        Some(Fact::Event(Box::new(self)))
    }
}

impl Decoded for Pod {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn into_fact(self, _: Resource) -> Option<Fact> {
        Some(Fact::Object(Object::Pod(Box::new(self))))
    }
}

impl Decoded for Workload {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn into_fact(self, resource: Resource) -> Option<Fact> {
        match resource {
            Resource::Objects(kind) => Some(Fact::Object(Object::Workload(kind, Box::new(self)))),
            Resource::Events | Resource::NodeEvents => None,
        }
    }
}

/// An object, or only its metadata if it does not decode.
#[derive(Debug, Clone)]
pub(super) struct Partial<T> {
    /// Name, namespace, UID and resourceVersion; no other field is ever set.
    metadata: ObjectMeta,
    /// `None` if the object does not decode.
    content: Option<T>,
}

impl<T> Partial<T> {
    /// Returns the object; `None` if it does not decode.
    pub(super) fn into_content(self) -> Option<T> {
        self.content
    }

    /// True if the object does not decode.
    pub(super) fn is_malformed(&self) -> bool {
        self.content.is_none()
    }

    /// The resourceVersion as a number, known even if the rest does not decode.
    pub(super) fn revision(&self) -> Option<u64> {
        self.metadata.resource_version.as_deref()?.parse().ok()
    }

    /// Namespace and name, for a log.
    pub(super) fn names(&self) -> (&str, &str) {
        (self.metadata.namespace.as_deref().unwrap_or_default(), self.metadata.name.as_deref().unwrap_or_default())
    }
}

/// Metadata of an object that does not decode as a whole.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Remains {
    #[serde(deserialize_with = "name")]
    name: Option<String>,
    #[serde(deserialize_with = "name")]
    namespace: Option<String>,
    #[serde(deserialize_with = "name")]
    uid: Option<String>,
    #[serde(deserialize_with = "name")]
    resource_version: Option<String>,
}

/// Decodes a name, with the core's limit on its length. An empty name is `None`.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = logstream_core::object::name(deserializer)?;
    Ok((!name.is_empty()).then_some(name))
}

impl<'de, T: Decoded> Deserialize<'de> for Partial<T> {
    /// Decodes JSON text only, which is what kube has. The object's text is borrowed: if the object does not decode,
    /// its metadata can be read again, and if it does, nothing was copied.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        let Ok(object) = serde_json::from_str::<T>(text) else { return Ok(Self::remains(text)) };
        let meta = object.meta();
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let remains = Remains {
            name: text(&meta.name),
            namespace: text(&meta.namespace),
            uid: meta.uid.map(|uid| uid.to_string()),
            resource_version: text(&meta.resource_version),
        };
        Ok(Self { metadata: remains.into(), content: Some(object) })
    }
}

impl<T> Partial<T> {
    /// Keeps the metadata of an object that does not decode.
    fn remains(text: &str) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Malformed {
            metadata: Remains,
        }
        let Malformed { metadata } = serde_json::from_str(text).unwrap_or_default();
        Self { metadata: metadata.into(), content: None }
    }
}

impl From<Remains> for ObjectMeta {
    fn from(remains: Remains) -> Self {
        let Remains { name, namespace, uid, resource_version } = remains;
        Self { name, namespace, uid, resource_version, ..Self::default() }
    }
}

impl<T> kube::Resource for Partial<T> {
    type DynamicType = Resource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &Resource) -> Cow<'_, str> {
        resource.kind().into()
    }

    fn group(resource: &Resource) -> Cow<'_, str> {
        resource.group().into()
    }

    fn version(_: &Resource) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural(resource: &Resource) -> Cow<'_, str> {
        resource.plural().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Path of a resource, in a namespace or in all.
pub(super) fn path(resource: Resource, namespace: Option<&str>) -> String {
    <Partial<()> as kube::Resource>::url_path(&resource, namespace)
}

#[cfg(test)]
mod tests {
    use kube::{
        Resource as _,
        core::{ObjectList, WatchEvent},
    };
    use logstream_core::resource::Kind;
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "22222222-2222-4333-8444-555555555555";

    #[test]
    fn an_object_keeps_its_metadata_and_the_fields_of_the_core() {
        let text = json!({
            "metadata": {"name": "dev", "namespace": "ns", "uid": "u", "resourceVersion": "7", "managedFields": [{}]},
            "spec": {"containers": [{"name": "dev", "env": [{"name": "CODER_AGENT_TOKEN", "value": TOKEN}]}]},
        })
        .to_string();
        let pod: Partial<Pod> = serde_json::from_str(&text).unwrap();
        assert_eq!((pod.names(), pod.revision()), (("ns", "dev"), Some(7)));
        assert_eq!(pod.meta().managed_fields, None);
        assert!(!format!("{pod:?}").contains(TOKEN), "{pod:?}");
        assert_eq!(pod.into_content().unwrap().spec.containers[0].env.len(), 1);
    }

    #[test]
    fn a_malformed_object_is_known_by_its_metadata_alone() {
        let text = json!({"metadata": {"name": "dev", "resourceVersion": "7"}, "spec": TOKEN}).to_string();
        let pod: Partial<Pod> = serde_json::from_str(&text).unwrap();
        assert_eq!(pod.revision(), Some(7));
        assert!(pod.is_malformed());
        for text in ["7", "\"text\"", "null", "{\"metadata\": {\"name\": 3}}"] {
            assert!(serde_json::from_str::<Partial<Pod>>(text).unwrap().is_malformed(), "{text}");
        }
    }

    #[test]
    fn the_names_of_a_malformed_object_are_limited() {
        let long = "a".repeat(100_000);
        let text = json!({"metadata": {"name": long, "namespace": long}, "spec": 3}).to_string();
        let pod: Partial<Pod> = serde_json::from_str(&text).unwrap();
        assert!(pod.is_malformed() && pod.names().0.len() < 300 && pod.names().1.len() < 300);
    }

    #[test]
    fn lists_and_watch_events_decode_beside_a_malformed_object() {
        let good = json!({"metadata": {"name": "a"}});
        let bad = json!({"metadata": {"name": "b"}, "spec": 3});
        let list = json!({"metadata": {"resourceVersion": "9"}, "items": [good, bad]}).to_string();
        let list: ObjectList<Partial<Workload>> = serde_json::from_str(&list).unwrap();
        let whole: Vec<bool> = list.items.into_iter().map(|item| !item.is_malformed()).collect();
        assert_eq!(whole, [true, false]);
        // In this order, as in the API server's own type (metav1.WatchEvent).
        let text = format!(r#"{{"type":"ADDED","object":{bad}}}"#);
        let event: WatchEvent<Partial<Workload>> = serde_json::from_str(&text).unwrap();
        assert!(matches!(event, WatchEvent::Added(job) if job.names() == ("", "b")));
    }

    #[test]
    fn each_resource_has_its_path() {
        assert_eq!(path(Resource::Events, None), "/api/v1/events");
        assert_eq!(path(Resource::Objects(Kind::Pod), Some("ns")), "/api/v1/namespaces/ns/pods");
        assert_eq!(path(Resource::Objects(Kind::ReplicaSet), None), "/apis/apps/v1/replicasets");
        assert_eq!(path(Resource::Objects(Kind::StatefulSet), None), "/apis/apps/v1/statefulsets");
        assert_eq!(path(Resource::Objects(Kind::Job), Some("ns")), "/apis/batch/v1/namespaces/ns/jobs");
    }
}
