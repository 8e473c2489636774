//! Kubernetes objects, decoded as far as this program uses them.
//!
//! The same types are read out of an AdmissionReview, a list, a watch and a GET. A field that is not here is never
//! kept: managedFields, volumes' contents, probes and most of the spec fall away while decoding. What is kept is limited
//! in length and number, so that an object of any size takes little memory.

mod env;

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

pub use self::env::EnvVar;
pub use crate::text::name;
use crate::{
    bounded::{self, Class, Element, Entries},
    dependency::Dependency,
    finding::ContainerKind,
    identity::{Subject, Uid},
    resource::Kind,
    text,
};

/// Metadata of an object. At admission a pod of a workload has neither name nor UID nor creationTimestamp.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Empty on a pod that a workload is about to create.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// The name's prefix, when the API server makes the rest.
    #[serde(deserialize_with = "text::name")]
    pub generate_name: String,
    /// Empty in some reviews: `request.namespace` is always there.
    #[serde(deserialize_with = "text::name")]
    pub namespace: String,
    /// `None` before the object is stored.
    #[serde(deserialize_with = "uid")]
    pub uid: Option<Uid>,
    /// Opaque by contract and a growing number in fact (see [`Meta::revision`]).
    #[serde(deserialize_with = "text::word")]
    pub resource_version: String,
    /// The labels: the first 256.
    #[serde(deserialize_with = "labels")]
    pub labels: BTreeMap<String, String>,
    /// The annotations of Coder and of this program.
    pub annotations: Annotations,
    /// Its owners.
    #[serde(deserialize_with = "bounded::list")]
    pub owner_references: Vec<OwnerReference>,
    /// Number of the spec's version; 0 where none is kept.
    pub generation: i64,
    /// In whole seconds, by the API server's clock.
    pub creation_timestamp: Option<Timestamp>,
    /// Set while it is being deleted gracefully.
    pub deletion_timestamp: Option<Timestamp>,
}

impl Meta {
    /// The resourceVersion as the number it is on every API server backed by etcd or kine (comparable by contract
    /// since Kubernetes 1.35); `None` where it is not a number.
    pub fn revision(&self) -> Option<u64> {
        self.resource_version.parse().ok()
    }

    /// The owner that is this object's controller.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }

    /// The name, or the prefix of the one to come.
    pub fn name_or_prefix(&self) -> &str {
        if self.name.is_empty() { &self.generate_name } else { &self.name }
    }

    /// This object as a subject; `None` before it is stored.
    pub fn subject(&self, kind: Kind) -> Option<Subject> {
        Some(Subject {
            kind,
            namespace: self.namespace.as_str().into(),
            name: self.name.as_str().into(),
            uid: self.uid?,
        })
    }
}

/// Annotations, as far as they are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Those whose keys begin with `com.coder.` or `logstream.coder.com/`: the first 64, with at most 8 KiB of each value.
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
    /// `ReplicaSet`, `StatefulSet`, `Job`, or anything else.
    #[serde(deserialize_with = "text::word")]
    pub kind: String,
    /// The owner's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// The owner's UID.
    pub uid: Uid,
    /// Whether it manages this object.
    #[serde(default)]
    pub controller: bool,
}

/// A core/v1 Pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Its metadata. Default where it is left out; written otherwise than as a JSON object, the pod does not decode.
    #[serde(deserialize_with = "object")]
    pub metadata: Meta,
    /// Its spec.
    pub spec: PodSpec,
    /// Its status.
    #[serde(deserialize_with = "nullable")]
    pub status: PodStatus,
}

/// The part of a pod's spec (or a template's) that can carry a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Containers that run before the others, and sidecars.
    #[serde(deserialize_with = "bounded::list")]
    pub init_containers: Vec<Container>,
    /// The containers.
    #[serde(deserialize_with = "bounded::list")]
    pub containers: Vec<Container>,
    /// Volumes, those kinds alone that can hold a token file or have a claim.
    #[serde(deserialize_with = "bounded::list")]
    pub volumes: Vec<Volume>,
    /// The node that the pod runs on; empty before it is scheduled.
    #[serde(deserialize_with = "text::name")]
    pub node_name: String,
    /// `Always` (also if empty), `OnFailure` or `Never`.
    #[serde(deserialize_with = "text::word")]
    pub restart_policy: String,
}

impl PodSpec {
    /// Each container with its kind, those that start first in front.
    pub fn each_container(&self) -> impl Iterator<Item = (&Container, ContainerKind)> {
        let init = self.init_containers.iter().map(|container| {
            let sidecar = container.restart_policy == "Always";
            (container, if sidecar { ContainerKind::Sidecar } else { ContainerKind::Init })
        });
        init.chain(self.containers.iter().map(|container| (container, ContainerKind::App)))
    }

    /// The kind of the container of this name.
    pub fn kind_of(&self, container: &str) -> Option<ContainerKind> {
        self.each_container().find(|(spec, _)| spec.name == container).map(|(_, kind)| kind)
    }
}

/// A container of a pod's spec.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Unique within the pod.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// The image's reference.
    #[serde(deserialize_with = "text::path")]
    pub image: String,
    /// The environment variables that can tell the agent's token; a later one of a name wins.
    #[serde(deserialize_with = "env::environment")]
    pub env: Vec<EnvVar>,
    /// Whole ConfigMaps and Secrets as environment; `env` wins over these, and a later one over an earlier.
    #[serde(deserialize_with = "bounded::list")]
    pub env_from: Vec<EnvFrom>,
    /// Where volumes appear.
    #[serde(deserialize_with = "bounded::list")]
    pub volume_mounts: Vec<VolumeMount>,
    /// Its limits.
    #[serde(deserialize_with = "nullable")]
    pub resources: Resources,
    /// `Always` makes an init container a sidecar.
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

/// `limits` of a container, as far as they are used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Of memory.
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

/// Where an environment variable's value comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvSource {
    /// A key of a Secret in the pod's namespace.
    pub secret_key_ref: Option<KeySelector>,
    /// A key of a ConfigMap in the pod's namespace.
    pub config_map_key_ref: Option<KeySelector>,
}

/// A key of a Secret or ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KeySelector {
    /// The object's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// The key.
    #[serde(deserialize_with = "text::name")]
    pub key: String,
    /// The pod starts even if it does not exist.
    #[serde(deserialize_with = "nullable")]
    pub optional: bool,
}

/// A whole ConfigMap or Secret as environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvFrom {
    /// Put before each key.
    #[serde(deserialize_with = "text::name")]
    pub prefix: String,
    /// A Secret in the pod's namespace.
    pub secret_ref: Option<NameReference>,
    /// A ConfigMap in the pod's namespace.
    pub config_map_ref: Option<NameReference>,
}

/// An object of the pod's namespace, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NameReference {
    /// The object's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// The pod starts even if it does not exist.
    #[serde(deserialize_with = "nullable")]
    pub optional: bool,
}

/// Where a container sees a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeMount {
    /// The volume's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// An absolute path.
    #[serde(deserialize_with = "text::path")]
    pub mount_path: String,
    /// A path inside the volume, mounted instead of its root.
    #[serde(deserialize_with = "text::path")]
    pub sub_path: String,
}

/// A volume, if it is of a kind that can hold a token file or has a claim.
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
    /// Several of these in one.
    pub projected: Option<Projected>,
    /// An existing claim.
    pub persistent_volume_claim: Option<ClaimVolume>,
    /// A claim that is created for this pod alone.
    pub ephemeral: Option<EphemeralVolume>,
}

/// A claim of the pod's namespace as a volume.
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
    /// The keys shown and their paths; empty: every key under its own name.
    #[serde(deserialize_with = "bounded::list")]
    pub items: Vec<KeyToPath>,
    /// The pod starts even if it does not exist.
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
    /// The keys shown and their paths; empty: every key under its own name.
    #[serde(deserialize_with = "bounded::list")]
    pub items: Vec<KeyToPath>,
    /// The pod starts even if it does not exist.
    #[serde(deserialize_with = "nullable")]
    pub optional: bool,
}

/// A projected volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Projected {
    /// Its parts.
    #[serde(deserialize_with = "bounded::list")]
    pub sources: Vec<ProjectedSource>,
}

/// A part of a projected volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectedSource {
    /// A Secret.
    pub secret: Option<NamedItems>,
    /// A ConfigMap.
    pub config_map: Option<NamedItems>,
}

/// A key of a Secret or ConfigMap and the path it appears at.
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

/// What the pod's status tells that Events may not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`.
    #[serde(deserialize_with = "text::word")]
    pub phase: String,
    /// Such as `Evicted`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Of the reason.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
    /// Conditions.
    #[serde(deserialize_with = "bounded::list")]
    pub conditions: Vec<Condition>,
    /// When the kubelet took the pod on.
    pub start_time: Option<Timestamp>,
    /// Of the init containers.
    #[serde(deserialize_with = "bounded::list")]
    pub init_container_statuses: Vec<ContainerStatus>,
    /// Of the containers.
    #[serde(deserialize_with = "bounded::list")]
    pub container_statuses: Vec<ContainerStatus>,
}

/// A condition of a pod or workload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Such as `PodScheduled` or `Progressing`.
    #[serde(rename = "type", deserialize_with = "text::name")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "text::word")]
    pub status: String,
    /// Such as `Unschedulable`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Of the reason.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
    /// When the status changed.
    #[serde(deserialize_with = "time")]
    pub last_transition_time: Option<Timestamp>,
}

/// The status of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// The container's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// How often it was started again.
    #[serde(deserialize_with = "number")]
    pub restart_count: u32,
    /// It runs and passes its startup and readiness probes.
    #[serde(deserialize_with = "nullable")]
    pub ready: bool,
    /// What it does now.
    #[serde(deserialize_with = "nullable")]
    pub state: ContainerState,
    /// How it ended before.
    #[serde(deserialize_with = "nullable")]
    pub last_state: ContainerState,
}

/// One of waiting, running and terminated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// Not running yet, or not again.
    pub waiting: Option<Waiting>,
    /// It runs.
    pub running: Option<Running>,
    /// It ended.
    pub terminated: Option<Terminated>,
}

/// A container that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    /// By the node's clock.
    #[serde(deserialize_with = "time")]
    pub started_at: Option<Timestamp>,
}

/// Why a container waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// Such as `ImagePullBackOff`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Of the reason.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
}

/// How a container ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// The process's exit code.
    pub exit_code: i32,
    /// Such as `OOMKilled`, `Error`, `Completed`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Of the reason; may be the container's own termination message.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
    /// By the node's clock.
    #[serde(deserialize_with = "time")]
    pub started_at: Option<Timestamp>,
    /// By the node's clock.
    #[serde(deserialize_with = "time")]
    pub finished_at: Option<Timestamp>,
    /// Of this run of the container; empty where the runtime gives none.
    #[serde(rename = "containerID")]
    pub container_id: String,
}

/// An apps/v1 Deployment, ReplicaSet or StatefulSet, or a batch/v1 Job.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Workload {
    /// Its metadata. Default where it is left out; written otherwise than as a JSON object, this does not decode.
    #[serde(deserialize_with = "object")]
    pub metadata: Meta,
    /// Its spec.
    pub spec: WorkloadSpec,
    /// Its status.
    #[serde(deserialize_with = "nullable")]
    pub status: WorkloadStatus,
}

/// The status of a workload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadStatus {
    /// The generation of the spec that the status is about; a Job has none.
    pub observed_generation: Option<i64>,
    /// Conditions.
    #[serde(deserialize_with = "bounded::list")]
    pub conditions: Vec<Condition>,
}

/// The spec of a workload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WorkloadSpec {
    /// The pods it makes.
    pub template: Template,
}

/// The template of a workload's pods.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Template {
    /// Labels and annotations of the pods.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Meta,
    /// Their spec.
    pub spec: PodSpec,
}

/// A core/v1 Event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// Its metadata, without labels, annotations and owners.
    #[serde(deserialize_with = "bare")]
    pub metadata: Meta,
    /// What it is about.
    pub involved_object: InvolvedObject,
    /// Such as `FailedScheduling`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// For people; at most 2 KiB are kept.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
    /// `Normal` or `Warning`.
    #[serde(rename = "type", deserialize_with = "text::word")]
    pub kind: String,
    /// How often, for Events of controllers and kubelets; absent on the scheduler's.
    #[serde(deserialize_with = "number")]
    pub count: u32,
    /// Of controllers' and kubelets' Events.
    #[serde(deserialize_with = "time")]
    pub first_timestamp: Option<Timestamp>,
    /// Of controllers' and kubelets' Events.
    #[serde(deserialize_with = "time")]
    pub last_timestamp: Option<Timestamp>,
    /// Of the scheduler's Events.
    #[serde(deserialize_with = "time")]
    pub event_time: Option<Timestamp>,
    /// Of the scheduler's Events once repeated.
    pub series: Option<Series>,
}

impl Event {
    /// When it last happened: series.lastObservedTime, else lastTimestamp, else eventTime, else creationTimestamp.
    pub fn time(&self) -> Option<Timestamp> {
        self.series
            .as_ref()
            .and_then(|series| series.last_observed_time)
            .or(self.last_timestamp)
            .or(self.event_time)
            .or(self.metadata.creation_timestamp)
    }

    /// When it first happened.
    pub fn since(&self) -> Option<Timestamp> {
        self.first_timestamp.or(self.event_time).or(self.metadata.creation_timestamp)
    }

    /// How often it happened, at least 1.
    pub fn times(&self) -> u32 {
        self.series.as_ref().map_or(self.count, |series| series.count).max(1)
    }

    /// The object it is about, if its kind is watched. The UID is [`Uid::UNKNOWN`] where the Event gives none.
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

    /// True if a line can come of it.
    pub fn is_relevant(&self) -> bool {
        self.subject().is_some() || Dependency::of_event(self).is_some()
    }

    /// True if it is about an object in its own namespace. With eventTime the API server does not compare the two, so
    /// anyone who may write Events somewhere could write about any object.
    pub fn stays_in_its_namespace(&self) -> bool {
        let about = &self.involved_object.namespace;
        about.is_empty() || *about == self.metadata.namespace
    }
}

/// `involvedObject` of an Event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InvolvedObject {
    /// Any kind.
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
    /// A part of the object, such as `spec.containers{dev}`.
    #[serde(deserialize_with = "text::name")]
    pub field_path: String,
}

/// `series` of an Event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Series {
    /// How often.
    #[serde(deserialize_with = "number")]
    pub count: u32,
    /// When it last happened.
    #[serde(deserialize_with = "time")]
    pub last_observed_time: Option<Timestamp>,
}

/// A struct that is written as a JSON object: serde also reads one from an array, in the order of its fields.
///
/// # Errors
/// Where it is written otherwise, or its fields do not decode.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Object(PhantomData))
}

/// `null` where Kubernetes' Go types write it for an empty list, map or number.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A count. The API server accepts negative ones, which are 0 here.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number: i64 = nullable(deserializer)?;
    Ok(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

/// A time; `None` where it is none, or beyond the last that can be represented (the API server accepts the whole of 9999).
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    text::read(deserializer, |text| text.parse().ok())
}

/// An empty UID is none.
fn uid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uid>, D::Error> {
    text::read(deserializer, Uid::parse)
}

/// The labels.
fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    // The longest value that Kubernetes accepts.
    let entries = Entries { limit: 256, value: 63, needed: |_| true };
    bounded::map(deserializer, &entries).map(|(labels, _)| labels)
}

/// Metadata without what only pods and workloads are asked for.
fn bare<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Meta, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Bare {
        #[serde(deserialize_with = "text::name")]
        name: String,
        #[serde(deserialize_with = "text::name")]
        namespace: String,
        #[serde(deserialize_with = "uid")]
        uid: Option<Uid>,
        #[serde(deserialize_with = "text::word")]
        resource_version: String,
        creation_timestamp: Option<Timestamp>,
        deletion_timestamp: Option<Timestamp>,
    }
    let Bare { name, namespace, uid, resource_version, creation_timestamp, deletion_timestamp } =
        Bare::deserialize(deserializer)?;
    let meta = Meta { name, namespace, uid, resource_version, creation_timestamp, ..Meta::default() };
    Ok(Meta { deletion_timestamp, ..meta })
}

impl Element for OwnerReference {
    const LIMITS: [usize; 2] = [4, 16];

    fn class(&self) -> Option<Class> {
        Some(if self.controller { Class::Carrier } else { Class::Other })
    }
}

impl Element for Container {
    const LIMITS: [usize; 2] = [128, 128];

    fn class(&self) -> Option<Class> {
        let carrier = !self.env.is_empty() || !self.env_from.is_empty();
        let other = !self.name.is_empty();
        if carrier { Some(Class::Carrier) } else { other.then_some(Class::Other) }
    }
}

impl Element for Volume {
    const LIMITS: [usize; 2] = [128, 32];

    fn class(&self) -> Option<Class> {
        let carrier = self.secret.is_some() || self.config_map.is_some() || self.projected.is_some();
        let claim = self.persistent_volume_claim.is_some() || self.ephemeral.is_some();
        if carrier { Some(Class::Carrier) } else { claim.then_some(Class::Other) }
    }
}

/// Elements that are of use only if they can lead to a token.
macro_rules! carriers {
    ($($element:ty, $limit:literal, $useful:expr;)*) => {$(
        impl Element for $element {
            const LIMITS: [usize; 2] = [$limit, 0];

            fn class(&self) -> Option<Class> {
                let useful: fn(&Self) -> bool = $useful;
                useful(self).then_some(Class::Carrier)
            }
        }
    )*};
}

carriers! {
    EnvFrom, 64, |from| from.secret_ref.is_some() || from.config_map_ref.is_some();
    VolumeMount, 128, |mount| !mount.name.is_empty() && !mount.mount_path.is_empty();
    ProjectedSource, 32, |source| source.secret.is_some() || source.config_map.is_some();
    KeyToPath, 64, |item| !item.key.is_empty() && !item.path.is_empty();
}

/// Elements that are all alike.
macro_rules! others {
    ($($element:ty, $limit:literal;)*) => {$(
        impl Element for $element {
            const LIMITS: [usize; 2] = [0, $limit];

            fn class(&self) -> Option<Class> {
                Some(Class::Other)
            }
        }
    )*};
}

others! {
    Condition, 32;
    ContainerStatus, 256;
}
