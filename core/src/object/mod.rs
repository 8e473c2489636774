//! Kubernetes objects, reduced to the fields that this program uses.
//!
//! The same types decode an AdmissionReview, a list, a watch event and the response to a GET. Other fields, such as
//! managedFields, volume contents, probes and most of the spec, are dropped while decoding. Lengths and numbers are
//! limited, so that an object of any size takes little memory.

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

/// Source of an environment variable's value.
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
    /// True if the pod starts even if the key does not exist.
    #[serde(deserialize_with = "nullable")]
    pub optional: bool,
}

/// Import of a whole ConfigMap or Secret into the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvFrom {
    /// Prefix that is added to each key.
    #[serde(deserialize_with = "text::name")]
    pub prefix: String,
    /// A Secret in the pod's namespace.
    pub secret_ref: Option<NameReference>,
    /// A ConfigMap in the pod's namespace.
    pub config_map_ref: Option<NameReference>,
}

/// Reference to an object in the pod's namespace, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NameReference {
    /// The object's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// True if the pod starts even if the object does not exist.
    #[serde(deserialize_with = "nullable")]
    pub optional: bool,
}

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

/// Status of a pod, reduced to what Events may not show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// Phase: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[serde(deserialize_with = "text::word")]
    pub phase: String,
    /// Reason, such as `Evicted`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Message that belongs to the reason.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
    /// Conditions.
    #[serde(deserialize_with = "bounded::list")]
    pub conditions: Vec<Condition>,
    /// Time at which the kubelet accepted the pod.
    pub start_time: Option<Timestamp>,
    /// Statuses of the init containers.
    #[serde(deserialize_with = "bounded::list")]
    pub init_container_statuses: Vec<ContainerStatus>,
    /// Statuses of the containers.
    #[serde(deserialize_with = "bounded::list")]
    pub container_statuses: Vec<ContainerStatus>,
}

/// A condition of a pod or workload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Type, such as `PodScheduled` or `Progressing`.
    #[serde(rename = "type", deserialize_with = "text::name")]
    pub kind: String,
    /// Status: `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "text::word")]
    pub status: String,
    /// Reason, such as `Unschedulable`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Message that belongs to the reason.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
    /// Time at which the status changed.
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
    /// Number of restarts.
    #[serde(deserialize_with = "number")]
    pub restart_count: u32,
    /// True if the container runs and passes its startup and readiness probes.
    #[serde(deserialize_with = "nullable")]
    pub ready: bool,
    /// Current state.
    #[serde(deserialize_with = "nullable")]
    pub state: ContainerState,
    /// Previous state: the end of an earlier run.
    #[serde(deserialize_with = "nullable")]
    pub last_state: ContainerState,
}

/// State of a container: waiting, running or terminated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// Set while the container does not run yet, or not again.
    pub waiting: Option<Waiting>,
    /// Set while the container runs.
    pub running: Option<Running>,
    /// Set after the container ended.
    pub terminated: Option<Terminated>,
}

/// A container that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    /// Start time, by the node's clock.
    #[serde(deserialize_with = "time")]
    pub started_at: Option<Timestamp>,
}

/// State of a container that waits, with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// Reason, such as `ImagePullBackOff`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Message that belongs to the reason.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
}

/// State of a container that ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// The process's exit code.
    pub exit_code: i32,
    /// Reason, such as `OOMKilled`, `Error` or `Completed`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Message that belongs to the reason; may be the container's own termination message.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
    /// Start time, by the node's clock.
    #[serde(deserialize_with = "time")]
    pub started_at: Option<Timestamp>,
    /// End time, by the node's clock.
    #[serde(deserialize_with = "time")]
    pub finished_at: Option<Timestamp>,
    /// Id of this run of the container; empty if the runtime gives none.
    #[serde(rename = "containerID")]
    pub container_id: String,
}

/// An apps/v1 Deployment, ReplicaSet or StatefulSet, or a batch/v1 Job.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Workload {
    /// Metadata; default if it is missing. Decoding fails if it is not a JSON object.
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
    /// Generation of the spec that the status describes; a Job has none.
    pub observed_generation: Option<i64>,
    /// Conditions.
    #[serde(deserialize_with = "bounded::list")]
    pub conditions: Vec<Condition>,
}

/// The spec of a workload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WorkloadSpec {
    /// Template of the pods that it creates.
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

/// Decodes a struct from a JSON object only. By default serde also accepts an array, in the order of the fields.
///
/// # Errors
/// If the input is not a JSON object, or its fields do not decode.
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

/// Reads `null` as the default: Kubernetes' Go types write it for an empty list, map or number.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a count. The API server accepts negative ones, which read as 0.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number: i64 = nullable(deserializer)?;
    Ok(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

/// Reads a time; `None` if it is not a time, or is later than can be represented (the API server accepts the whole year
/// 9999).
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    text::read(deserializer, |text| text.parse().ok())
}

/// Reads a UID; `None` if it is empty.
fn uid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uid>, D::Error> {
    text::read(deserializer, Uid::parse)
}

/// Reads labels.
fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    // Maximum length of a value in Kubernetes.
    let entries = Entries { limit: 256, value: 63, needed: |_| true };
    bounded::map(deserializer, &entries).map(|(labels, _)| labels)
}

/// Reads metadata without the fields that only pods and workloads need.
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

/// Implements `Element` for types with elements that are used only if they can lead to a token.
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

/// Implements `Element` for types with elements that are all alike.
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
