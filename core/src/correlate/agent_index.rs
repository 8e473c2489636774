//! The port to the registry: which object carries which agent.

use std::sync::Arc;

use crate::{
    identity::{Subject, Uid},
    token::AgentToken,
};

/// Pending registrations from admission, and confirmed agents.
pub trait AgentIndex {
    /// True if a pending registration matches this object, which is then looked up at once.
    fn is_registered(&self, subject: &Subject) -> bool;

    /// Confirms that the object's own spec has these agents. Called again when they change.
    fn confirm(&self, subject: &Subject, controller: Option<Uid>, agents: Arc<[AgentToken]>) -> Confirmation;

    /// Records that the object is gone. Returns the agents that no object carries any more.
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

/// The result of [`AgentIndex::confirm`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether admission had registered the object.
    pub registered: bool,
    /// The agents that no object carried before.
    pub new_agents: Vec<AgentToken>,
}
