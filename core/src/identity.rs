//! Who an object is, and whose it is.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::object::{Meta, text};

/// The kinds of object a line can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// core/v1
    Pod,
    /// apps/v1
    ReplicaSet,
    /// apps/v1
    StatefulSet,
    /// batch/v1
    Job,
}

impl Kind {
    /// Every kind, in the order of this list.
    pub const ALL: [Self; 4] = [Self::Pod, Self::ReplicaSet, Self::StatefulSet, Self::Job];

    /// The kind of this name, as `involvedObject.kind` and `ownerReferences[].kind` write it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind's name in the Kubernetes API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
            Self::Job => "Job",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The UID of an object: what identity rests on, never a name alone.
///
/// Kubernetes UIDs are UUIDs. The few that are not (a mirror pod's is a hash of its manifest) are hashed into 16
/// bytes, so that each takes the same small space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(Uuid);

impl Uid {
    /// Of an object that is known by kind, namespace and name alone, as in an Event without `involvedObject.uid`.
    pub const UNKNOWN: Self = Self(Uuid::nil());

    /// The UID of this text; `None` when it is empty, as on an object that was not yet stored.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        Some(Self(Uuid::try_parse(text).unwrap_or_else(|_| {
            // No UID is as long; of what claims to be one the start and the length have to do.
            let digest =
                Sha256::new().chain_update(text::start(text, 256)).chain_update(text.len().to_be_bytes()).finalize();
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&digest[..16]);
            Uuid::from_bytes(bytes)
        })))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Uid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Uid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer, Self::parse)?.ok_or_else(|| serde::de::Error::custom("an empty uid"))
    }
}

/// An object by kind, namespace, name and UID.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The object's kind.
    pub kind: Kind,
    /// The object's namespace; never empty.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
    /// The object's UID.
    pub uid: Uid,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// The person and the workspace an object belongs to, for people only: the token is the authority.
///
/// A prebuilt workspace carries the pseudo-user `prebuilds` until it is claimed, and its labels keep that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The user's name; empty when nothing tells it.
    pub user: String,
    /// The workspace's name; the namespace when nothing tells it.
    pub workspace: String,
}

const USERNAME: &str = "com.coder.user.username";
const WORKSPACE: &str = "com.coder.workspace.name";
const EMAIL: &str = "com.coder.user.email";

impl Owner {
    /// Derives the owner from the objects that may tell, the most telling first: the pod, its ReplicaSet, its
    /// Deployment. `name` is the pod's name, or its `generateName`, or its workload's name.
    ///
    /// For user and workspace alike: labels, then the e-mail annotation, then a name of the form
    /// `coder-OWNER-WORKSPACE`, else the namespace.
    pub fn derive(sources: &[&Meta], name: &str, namespace: &str) -> Self {
        let label = |key: &str| first(sources.iter().map(|meta| &meta.labels), key);
        let annotation = |key: &str| first(sources.iter().map(|meta| &meta.annotations.known), key);
        let from_name = parse_name(name);
        Self {
            user: label(USERNAME)
                .or_else(|| annotation(USERNAME))
                .or_else(|| annotation(EMAIL))
                .or_else(|| from_name.map(|(user, _)| user.to_owned()))
                .unwrap_or_default(),
            workspace: label(WORKSPACE)
                .or_else(|| annotation(WORKSPACE))
                .or_else(|| from_name.map(|(_, workspace)| workspace.to_owned()))
                .unwrap_or_else(|| namespace.to_owned()),
        }
    }
}

fn first<'a>(maps: impl Iterator<Item = &'a BTreeMap<String, String>>, key: &str) -> Option<String> {
    maps.filter_map(|map| map.get(key)).find(|value| !value.is_empty()).cloned()
}

/// `coder-OWNER-WORKSPACE`: a Coder user name may hold a hyphen, so this takes the first part for it, as the
/// templates that name pods so do not tell more.
fn parse_name(name: &str) -> Option<(&str, &str)> {
    let (user, workspace) = name.strip_prefix("coder-")?.split_once('-')?;
    let workspace = workspace.trim_end_matches('-');
    (!user.is_empty() && !workspace.is_empty()).then_some((user, workspace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Annotations;

    fn meta(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Meta {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let annotations = Annotations { known: map(annotations), other: 0 };
        Meta { labels: map(labels), annotations, ..Meta::default() }
    }

    #[test]
    fn labels_win_over_annotations_and_names() {
        let pod = meta(&[(USERNAME, "alice"), (WORKSPACE, "dev")], &[(EMAIL, "alice@example.com")]);
        let owner = Owner::derive(&[&pod], "coder-bob-web", "ns");
        assert_eq!((owner.user.as_str(), owner.workspace.as_str()), ("alice", "dev"));
    }

    #[test]
    fn the_email_then_the_name_then_the_namespace_tell_what_labels_do_not() {
        let pod = meta(&[], &[]);
        let replicaset = meta(&[], &[(EMAIL, "bob@example.com")]);
        let owner = Owner::derive(&[&pod, &replicaset], "coder-bob-web-", "ns");
        assert_eq!((owner.user.as_str(), owner.workspace.as_str()), ("bob@example.com", "web"));
        let owner = Owner::derive(&[&pod], "something", "ns");
        assert_eq!((owner.user.as_str(), owner.workspace.as_str()), ("", "ns"));
    }

    #[test]
    fn a_uid_that_is_no_uuid_is_still_one_identity() {
        assert_eq!(Uid::parse(""), None);
        assert_eq!(Uid::parse("abc"), Uid::parse("abc"));
        assert_ne!(Uid::parse("abc"), Uid::parse("abd"));
        let uuid = "8721d9bc-888d-488a-8959-7c5ac8ffad27";
        assert_eq!(Uid::parse(uuid).unwrap().to_string(), uuid);
    }
}
