//! What admission knew of a workspace before it existed.

use std::sync::Arc;

use crate::{identity::Uid, resource::Kind, token::AgentToken};

/// An object with an agent, as a mutating webhook saw it at its creation.
///
/// It is a **claim**: whoever reaches the webhook's port can make one up. It tells whom to look up and what to
/// prepare; no line goes to one of its tokens before the object itself, read from the API server, has shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The object's kind.
    pub kind: Kind,
    /// The object's namespace.
    pub namespace: Arc<str>,
    /// The object's name; `None` for a pod whose name the API server is about to make.
    pub name: Option<Arc<str>>,
    /// The UID of the workload that makes the pod.
    pub controller: Option<Uid>,
    /// Tokens that stand in the spec itself; those behind references are resolved later, off the admission path.
    pub tokens: Vec<AgentToken>,
}
