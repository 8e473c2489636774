//! Volumes of a pod, and their mounts.

use serde::Deserialize;

use super::decode::nullable;
use crate::{bounded, text};

/// Mount of a volume in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeMount {
    /// The volume's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// Absolute path in the container.
    #[serde(deserialize_with = "text::path")]
    pub mount_path: String,
    /// A path inside the volume, mounted instead of its root.
    #[serde(deserialize_with = "text::path")]
    pub sub_path: String,
}

/// A volume of a kind that can hold a token file or has a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// The volume's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// A Secret.
    pub secret: Option<SecretVolume>,
    /// A ConfigMap.
    pub config_map: Option<NamedItems>,
    /// Several Secrets and ConfigMaps in one volume.
    pub projected: Option<Projected>,
    /// An existing claim.
    pub persistent_volume_claim: Option<ClaimVolume>,
    /// A claim that is created for this pod only.
    pub ephemeral: Option<EphemeralVolume>,
}

/// A claim in the pod's namespace, used as a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimVolume {
    /// The claim's name.
    #[serde(deserialize_with = "text::name")]
    pub claim_name: String,
}

/// A volume whose claim is created with the pod, under the name `POD-VOLUME`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct EphemeralVolume {}

/// A Secret as a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretVolume {
    /// The Secret's name.
    #[serde(deserialize_with = "text::name")]
    pub secret_name: String,
    /// Keys that are mounted, and their paths. If empty, every key is mounted under its own name.
    #[serde(deserialize_with = "bounded::list")]
    pub items: Vec<KeyToPath>,
    /// True if the pod starts even if the Secret does not exist.
    #[serde(deserialize_with = "nullable")]
    pub optional: bool,
}

/// A ConfigMap as a volume, or a Secret or ConfigMap in a projected one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NamedItems {
    /// The object's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// Keys that are mounted, and their paths. If empty, every key is mounted under its own name.
    #[serde(deserialize_with = "bounded::list")]
    pub items: Vec<KeyToPath>,
    /// True if the pod starts even if the object does not exist.
    #[serde(deserialize_with = "nullable")]
    pub optional: bool,
}

/// A projected volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Projected {
    /// Sources of the volume.
    #[serde(deserialize_with = "bounded::list")]
    pub sources: Vec<ProjectedSource>,
}

/// Source of a projected volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectedSource {
    /// A Secret.
    pub secret: Option<NamedItems>,
    /// A ConfigMap.
    pub config_map: Option<NamedItems>,
}

/// Key of a Secret or ConfigMap, and the path at which it is mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KeyToPath {
    /// The key.
    #[serde(deserialize_with = "text::name")]
    pub key: String,
    /// The path, relative to the volume.
    #[serde(deserialize_with = "text::path")]
    pub path: String,
}
