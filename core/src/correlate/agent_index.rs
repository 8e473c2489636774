//! The port to the registry: who carries which token.

use std::sync::Arc;

use crate::{
    identity::{Subject, Uid},
    token::AgentToken,
};

/// What both halves of the program know of workspaces: the claims of admission, and what the API server has shown.
pub trait AgentIndex {
    /// Whether an admission claim names this object. A claim is a reason to look it up at once, nothing more.
    fn is_registered(&self, subject: &Subject) -> bool;

    /// Records that the object's own spec carries these agents; called again when it carries more.
    fn confirm(&self, subject: &Subject, controller: Option<Uid>, agents: Arc<[AgentToken]>) -> Confirmation;

    /// Records that the object is gone; returns the agents that no object carries any more.
    fn end(&self, uid: Uid) -> Vec<AgentToken>;
}

impl<D: AgentIndex + ?Sized> AgentIndex for Arc<D> {
    fn is_registered(&self, subject: &Subject) -> bool {
        (**self).is_registered(subject)
    }

    fn confirm(&self, subject: &Subject, controller: Option<Uid>, agents: Arc<[AgentToken]>) -> Confirmation {
        (**self).confirm(subject, controller, agents)
    }

    fn end(&self, uid: Uid) -> Vec<AgentToken> {
        (**self).end(uid)
    }
}

/// What came of a [`AgentIndex::confirm`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether admission had claimed the object.
    pub registered: bool,
    /// The agents that no object carried before.
    pub new_agents: Vec<AgentToken>,
}
