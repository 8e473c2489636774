//! What the watch sees, as plain facts.

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
    /// The watch of this scope starts. Comes before everything else of the scope, once.
    Started {
        /// The scope.
        scope: ScopeId,
        /// What it continues from.
        from: Box<Checkpoint>,
    },
    /// An object was created, changed, or listed again.
    Seen {
        /// The scope it came by.
        scope: ScopeId,
        /// The object.
        object: Object,
        /// How the watch came by it.
        how: Arrival,
    },
    /// An object was deleted, as the watch last saw it.
    Gone {
        /// The scope it came by.
        scope: ScopeId,
        /// The object.
        object: Object,
    },
    /// An Event that was not handed on before (its resourceVersion is beyond what this stream had reached).
    Event {
        /// The scope it came by.
        scope: ScopeId,
        /// The Event.
        event: Box<Event>,
    },
    /// The watch of this scope lists anew: what is not seen again by `Synced` is gone.
    Relisting(ScopeId),
    /// The watch of this scope has listed everything.
    Synced(ScopeId),
    /// The answer to a lookup: the object if it exists, is selected and has the UID that was asked for.
    LookedUp {
        /// The scope that the object would come by, for facts reported about it; `None` if it is not watched.
        scope: Option<ScopeId>,
        /// What was asked for.
        subject: Subject,
        /// The answer; `Err` when the API server would not give one.
        found: Result<Option<Object>, LookupFailed>,
    },
    /// The answer to [`Effect::CheckPresence`](super::Effect::CheckPresence).
    PresenceChecked {
        /// The object in question.
        subject: Subject,
        /// Where it is; `Err` when the API server would not say.
        presence: Result<Presence, LookupFailed>,
    },
    /// The answer to a reference.
    Resolved {
        /// The object whose spec holds the reference.
        subject: Subject,
        /// The reference.
        source: TokenSource,
        /// The token; `None` when there is none to be had.
        token: Option<AgentToken>,
    },
}

/// A lookup that had no answer, after its retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the API server did not answer the lookup")]
pub struct LookupFailed;

/// Presence of an object, by UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It exists and is selected.
    Selected,
    /// It exists, and the user's selectors leave it out.
    Unselected,
    /// It does not exist.
    Absent,
}

/// How the watch came by an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// By a watch event: it is news.
    Watched,
    /// In a list, with a resourceVersion beyond what this scope had reached before: it changed since.
    ListedChanged,
    /// In a list, with nothing new.
    ListedKnown,
}

/// An object that may carry agents.
#[derive(Debug, Clone)]
pub enum Object {
    /// A pod.
    Pod(Box<Pod>),
    /// A ReplicaSet, StatefulSet or Job.
    Workload(Kind, Box<Workload>),
}

impl Object {
    /// Its metadata.
    pub fn meta(&self) -> &Meta {
        match self {
            Self::Pod(pod) => &pod.metadata,
            Self::Workload(_, workload) => &workload.metadata,
        }
    }
}
