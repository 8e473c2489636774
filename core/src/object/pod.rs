//! Pods and their containers.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Visitor};

use super::{
    decode::{nullable, object},
    env::{self, EnvFrom, EnvVar},
    meta::Meta,
    status::PodStatus,
    volume::{Volume, VolumeMount},
};
use crate::{bounded, finding::ContainerKind, text};

/// A core/v1 Pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Metadata; default if it is missing. Decoding fails if it is not a JSON object.
    #[serde(deserialize_with = "object")]
    pub metadata: Meta,
    /// Its spec.
    pub spec: PodSpec,
    /// Its status.
    #[serde(deserialize_with = "nullable")]
    pub status: PodStatus,
}

/// Spec of a pod or template, reduced to what this program uses: mainly the parts that can carry a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Containers that run before the others, and sidecars.
    #[serde(deserialize_with = "bounded::list")]
    pub init_containers: Vec<Container>,
    /// The containers.
    #[serde(deserialize_with = "bounded::list")]
    pub containers: Vec<Container>,
    /// Volumes of the kinds that can hold a token file or have a claim.
    #[serde(deserialize_with = "bounded::list")]
    pub volumes: Vec<Volume>,
    /// Name of the node that the pod runs on; empty before the pod is scheduled.
    #[serde(deserialize_with = "text::name")]
    pub node_name: String,
    /// Restart policy: `Always` (also if empty), `OnFailure` or `Never`.
    #[serde(deserialize_with = "text::word")]
    pub restart_policy: String,
}

impl PodSpec {
    /// Returns each container with its kind, in the order in which they start.
    pub fn each_container(&self) -> impl Iterator<Item = (&Container, ContainerKind)> {
        let init = self.init_containers.iter().map(|container| {
            let sidecar = container.restart_policy == "Always";
            (container, if sidecar { ContainerKind::Sidecar } else { ContainerKind::Init })
        });
        init.chain(self.containers.iter().map(|container| (container, ContainerKind::App)))
    }

    /// Returns the container with this name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.each_container().map(|(container, _)| container).find(|container| container.name == name)
    }

    /// Returns the kind of the container with this name.
    pub fn kind_of(&self, container: &str) -> Option<ContainerKind> {
        self.each_container().find(|(spec, _)| spec.name == container).map(|(_, kind)| kind)
    }
}

/// A container of a pod's spec.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Name, unique within the pod.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// Image reference.
    #[serde(deserialize_with = "text::path")]
    pub image: String,
    /// Environment variables that can lead to the agent's token. The last one of a name wins.
    #[serde(deserialize_with = "env::environment")]
    pub env: Vec<EnvVar>,
    /// ConfigMaps and Secrets that are imported as a whole. `env` takes precedence over these, and a later one over an
    /// earlier one.
    #[serde(deserialize_with = "bounded::list")]
    pub env_from: Vec<EnvFrom>,
    /// Mounts of volumes.
    #[serde(deserialize_with = "bounded::list")]
    pub volume_mounts: Vec<VolumeMount>,
    /// Resource limits.
    #[serde(deserialize_with = "nullable")]
    pub resources: Resources,
    /// Restart policy. `Always` makes an init container a sidecar.
    #[serde(deserialize_with = "text::word")]
    pub restart_policy: String,
}

/// `resources` of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// The memory limit, as the user wrote it.
    #[serde(deserialize_with = "nullable")]
    pub limits: Limits,
}

/// `limits` of a container, reduced to the one that is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory limit.
    pub memory: Option<Quantity>,
}

/// A resource quantity, as text (`4Gi`). The API server writes strings; a manifest at admission may hold a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity(pub String);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Quantity;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a quantity")
            }

            fn visit_str<E>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text::excerpt(text, 64).into_owned()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}
