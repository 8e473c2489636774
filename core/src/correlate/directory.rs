//! The port to the registry: who carries which token.

use std::sync::Arc;

use crate::{
    identity::{Subject, Uid},
    token::AgentToken,
};

/// What both halves of the program know of workspaces: the claims of admission, and what the API server has shown.
pub trait Directory {
    /// Whether an admission claim names this object. A claim is a reason to look it up at once, nothing more.
    fn claimed(&self, subject: &Subject) -> bool;

    /// Records that the object's own spec carries these agents; called again when it carries more.
    fn bind(&self, subject: &Subject, controller: Option<Uid>, agents: Arc<[AgentToken]>) -> Binding;

    /// Records that the object is gone; returns the agents that no object carries any more.
    fn end(&self, uid: Uid) -> Vec<AgentToken>;
}

impl<D: Directory + ?Sized> Directory for Arc<D> {
    fn claimed(&self, subject: &Subject) -> bool {
        (**self).claimed(subject)
    }

    fn bind(&self, subject: &Subject, controller: Option<Uid>, agents: Arc<[AgentToken]>) -> Binding {
        (**self).bind(subject, controller, agents)
    }

    fn end(&self, uid: Uid) -> Vec<AgentToken> {
        (**self).end(uid)
    }
}

/// What came of a [`Directory::bind`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binding {
    /// Whether admission had claimed the object.
    pub claimed: bool,
    /// The agents that no object carried before.
    pub opened: Vec<AgentToken>,
}
