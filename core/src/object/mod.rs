//! Kubernetes objects, reduced to the fields that this program uses.
//!
//! The same types decode an AdmissionReview, a list, a watch event and the response to a GET. Other fields, such as
//! managedFields, volume contents, probes and most of the spec, are dropped while decoding. Lengths and numbers are
//! limited, so that an object of any size takes little memory.

mod decode;
mod elements;
mod env;
mod event;
mod meta;
mod pod;
mod status;
mod volume;
mod workload;

pub use self::{
    decode::object,
    env::{EnvFrom, EnvSource, EnvVar, KeySelector, NameReference},
    event::{Event, InvolvedObject, Series},
    meta::{Annotations, Meta, OwnerReference},
    pod::{Container, Limits, Pod, PodSpec, Quantity, Resources},
    status::{Condition, ContainerState, ContainerStatus, PodStatus, Running, Terminated, Waiting},
    volume::{
        ClaimVolume, EphemeralVolume, KeyToPath, NamedItems, Projected, ProjectedSource, SecretVolume, Volume,
        VolumeMount,
    },
    workload::{Template, Workload, WorkloadSpec, WorkloadStatus},
};
pub use crate::text::name;
