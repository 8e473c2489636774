//! The registration of a workspace at admission.

use std::sync::Arc;

use crate::{identity::Uid, resource::Kind, token::AgentToken};

/// The annotation that the webhook writes to each pod it has seen, whichever replica answered. Anyone may write it: it
/// serves for counting only.
pub const ANNOTATION: &str = "logstream.coder.com/registration";

/// An object with an agent, as the webhook saw it at its creation.
///
/// Anyone who reaches the webhook's port can forge one. It only leads to a lookup and to a head start: no line is sent
/// to one of its tokens before the object itself, read from the API server, has shown that token.
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
