//! Observations: facts from the API server.

use crate::{
    checkpoint::Checkpoint,
    extract::TokenSource,
    fact_id::ScopeId,
    identity::Subject,
    object::{Event, Meta, Pod, Workload},
    resource::Kind,
    token::AgentToken,
};

/// A fact from the API server.
#[derive(Debug, Clone)]
pub enum Observation {
    /// The watch of this scope starts. Comes once, before all other observations of the scope.
    Started {
        /// The scope.
        scope: ScopeId,
        /// The checkpoint it continues from.
        from: Box<Checkpoint>,
    },
    /// An object was created, changed, or listed again.
    Seen {
        /// The scope.
        scope: ScopeId,
        /// The object.
        object: Object,
        /// The way it arrived.
        how: Arrival,
    },
    /// An object was deleted, as the watch last saw it.
    Gone {
        /// The scope.
        scope: ScopeId,
        /// The object.
        object: Object,
    },
    /// An Event that is newer than all Events of this scope so far.
    Event {
        /// The scope.
        scope: ScopeId,
        /// The Event.
        event: Box<Event>,
    },
    /// The watch of this scope lists again: objects not seen before `Synced` are gone.
    Relisting(ScopeId),
    /// The list of this scope is complete.
    Synced(ScopeId),
    /// The answer to a lookup: the object if it exists, is selected and has the requested UID.
    LookedUp {
        /// The scope of facts about the object; `None` if it is not watched.
        scope: Option<ScopeId>,
        /// The requested object.
        subject: Subject,
        /// The answer; `Err` if the API server gave none.
        found: Result<Option<Object>, LookupFailed>,
    },
    /// The answer to [`Effect::CheckPresence`](super::Effect::CheckPresence).
    PresenceChecked {
        /// The object.
        subject: Subject,
        /// Its presence; `Err` if the API server gave no answer.
        presence: Result<Presence, LookupFailed>,
    },
    /// The answer to [`Effect::Resolve`](super::Effect::Resolve).
    Resolved {
        /// The object whose spec has the reference.
        subject: Subject,
        /// The reference.
        source: TokenSource,
        /// The token; `None` if there is none.
        token: Option<AgentToken>,
    },
}

/// Error of a lookup without an answer after all retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the API server did not answer the lookup")]
pub struct LookupFailed;

/// Presence of an object, by UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It exists and is selected.
    Selected,
    /// It exists and is not selected.
    Unselected,
    /// It does not exist.
    Absent,
}

/// The way an object arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// By a watch event: it is new or changed.
    Watched,
    /// In a list, with a resourceVersion newer than the scope's last one: it changed meanwhile.
    ListedChanged,
    /// In a list, unchanged.
    ListedKnown,
}

/// An object that may have agents.
#[derive(Debug, Clone)]
pub enum Object {
    /// A pod.
    Pod(Box<Pod>),
    /// A Deployment, ReplicaSet, StatefulSet or Job.
    Workload(Kind, Box<Workload>),
}

impl Object {
    /// Returns its metadata.
    pub fn meta(&self) -> &Meta {
        match self {
            Self::Pod(pod) => &pod.metadata,
            Self::Workload(_, workload) => &workload.metadata,
        }
    }
}
