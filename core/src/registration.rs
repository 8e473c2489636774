//! Registration of a workspace at admission.

use std::sync::Arc;

use crate::{identity::Uid, resource::Kind, token::AgentToken};

/// Annotation that the webhook adds to each pod it has seen, on any replica. Anyone can write it, so it is used for
/// counting only.
pub const ANNOTATION: &str = "logstream.coder.com/registration";

/// An object with an agent, as the webhook saw it at its creation.
///
/// Anyone who can reach the webhook's port can forge one. It leads only to a lookup and a head start: no line is sent
/// to one of its tokens until the object itself, read from the API server, shows that token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The object's kind.
    pub kind: Kind,
    /// The object's namespace.
    pub namespace: Arc<str>,
    /// The object's name; `None` for a pod whose name the API server will generate.
    pub name: Option<Arc<str>>,
    /// The UID of the workload that owns the pod.
    pub controller: Option<Uid>,
    /// Tokens in the spec itself. References are resolved later, outside of admission.
    pub tokens: Vec<AgentToken>,
}
