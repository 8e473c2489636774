//! Metadata of an object.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::decode::{labels, uid};
use crate::{
    bounded::{self, Entries},
    identity::{Subject, Uid},
    resource::Kind,
    text,
};

/// Metadata of an object. At admission a pod of a workload has neither name nor UID nor creationTimestamp.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name; empty on a pod that a workload is about to create.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// Prefix of the name, if the API server generates the rest.
    #[serde(deserialize_with = "text::name")]
    pub generate_name: String,
    /// Namespace; empty in some reviews, but `request.namespace` is always set.
    #[serde(deserialize_with = "text::name")]
    pub namespace: String,
    /// UID; `None` before the object is stored.
    #[serde(deserialize_with = "uid")]
    pub uid: Option<Uid>,
    /// resourceVersion; opaque by contract, an increasing number in practice (see [`Meta::revision`]).
    #[serde(deserialize_with = "text::word")]
    pub resource_version: String,
    /// Labels: the first 256.
    #[serde(deserialize_with = "labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of Coder and of this program.
    pub annotations: Annotations,
    /// Owners of the object.
    #[serde(deserialize_with = "bounded::list")]
    pub owner_references: Vec<OwnerReference>,
    /// Version number of the spec; 0 for objects that have none.
    pub generation: i64,
    /// Creation time, in whole seconds of the API server's clock.
    pub creation_timestamp: Option<Timestamp>,
    /// Deletion time; set while the object is being deleted gracefully.
    pub deletion_timestamp: Option<Timestamp>,
}

impl Meta {
    /// Returns the resourceVersion as a number; `None` if it is not a number. It is one on every API server backed by
    /// etcd or kine, and comparable by contract since Kubernetes 1.35.
    pub fn revision(&self) -> Option<u64> {
        self.resource_version.parse().ok()
    }

    /// Returns the owner that is this object's controller.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }

    /// Returns the name, or the prefix of a name that is not generated yet.
    pub fn name_or_prefix(&self) -> &str {
        if self.name.is_empty() { &self.generate_name } else { &self.name }
    }

    /// Returns this object as a subject; `None` before it is stored.
    pub fn subject(&self, kind: Kind) -> Option<Subject> {
        Some(Subject {
            kind,
            namespace: self.namespace.as_str().into(),
            name: self.name.as_str().into(),
            uid: self.uid?,
        })
    }
}

/// Annotations, reduced to those that are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Annotations with a key that begins with `com.coder.` or `logstream.coder.com/`: the first 64, with at most 8 KiB
    /// of each value.
    pub known: BTreeMap<String, String>,
    /// Size of the keys and values of all others, in bytes; 0 only if there are none.
    pub other: usize,
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let needed = |key: &str| key.starts_with("com.coder.") || key.starts_with("logstream.coder.com/");
        let (known, other) = bounded::map(deserializer, &Entries { limit: 64, value: 8 * 1024, needed })?;
        Ok(Self { known, other })
    }
}

/// An entry of `metadata.ownerReferences`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OwnerReference {
    /// Kind of the owner, such as `ReplicaSet`, `StatefulSet` or `Job`.
    #[serde(deserialize_with = "text::word")]
    pub kind: String,
    /// The owner's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// The owner's UID.
    pub uid: Uid,
    /// True if the owner manages this object.
    #[serde(default)]
    pub controller: bool,
}
