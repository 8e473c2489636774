//! Identity of objects: UIDs and names.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{resource::Kind, text};

/// UID of an object. Identity rests on it, never on a name alone.
///
/// Kubernetes UIDs are UUIDs. The few that are not (a mirror pod's is a hash of its manifest) are hashed into 16 bytes,
/// so that all take the same small space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(Uuid);

impl Uid {
    /// UID of an object that is known by kind, namespace and name only, as in an Event without `involvedObject.uid`.
    pub const UNKNOWN: Self = Self(Uuid::nil());

    /// Parses a UID; `None` if the text is empty, as on an object that is not stored yet.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        Some(Self(Uuid::try_parse(text).unwrap_or_else(|_| {
            // No real UID is this long: of a forged one, only the start and the length are hashed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_that_is_no_uuid_is_still_one_identity() {
        assert_eq!(Uid::parse(""), None);
        assert_eq!(Uid::parse("abc"), Uid::parse("abc"));
        assert_ne!(Uid::parse("abc"), Uid::parse("abd"));
        let uuid = "8721d9bc-888d-488a-8959-7c5ac8ffad27";
        assert_eq!(Uid::parse(uuid).unwrap().to_string(), uuid);
    }
}
