//! What the correlator wants done.

use std::collections::BTreeSet;

use crate::{
    checkpoint::FactKey,
    extract::TokenSource,
    fact_id::{FactId, ScopeId},
    finding::Finding,
    identity::{Subject, Uid},
    token::AgentToken,
    workspace::WorkspaceKey,
};

/// Something to be done by those who may do I/O, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Say this to its agents' owners.
    Finding(Finding),
    /// An agent is carried by a live object.
    Open {
        /// The agent.
        agent: AgentToken,
        /// The workspace that it belongs to, if the object tells.
        workspace: Option<WorkspaceKey>,
    },
    /// No object carries the agent any more.
    Ended(AgentToken),
    /// Read this object from the API server and come back with `LookedUp`.
    LookUp(Subject),
    /// Find out whether this object still exists and is selected, and come back with `Confirmed`.
    CheckPresence(Subject),
    /// Read this reference and come back with `Resolved`.
    Resolve {
        /// The object whose spec holds the reference.
        subject: Subject,
        /// The reference.
        source: TokenSource,
    },
    /// References of this object need not be resolved any more.
    Forget(Uid),
    /// This fact is kept here for later: it is not told yet.
    Hold(FactId),
    /// A fact kept here was handed on or given up.
    Ack(FactId),
    /// These facts of an object's status need not be reported again, except those that are not delivered yet. Comes
    /// after the findings about them; an empty list when the object is gone.
    Known {
        /// The scope that shows the object.
        scope: ScopeId,
        /// The object.
        subject: Uid,
        /// Its facts, all of them.
        facts: BTreeSet<FactKey>,
    },
    /// Something to be counted.
    Count(Counted),
}

/// Why the correlator did not make a line of something, or what else is worth counting. A closed set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counted {
    /// An Event about a kind that is not explained.
    OtherKind,
    /// An Event whose subject is no workspace.
    NonWorkspace,
    /// An Event whose subject could not be found in time.
    Aged,
    /// An Event given up because too many were waiting.
    Overflow,
    /// A repeat that was counted instead of said.
    Collapsed,
    /// A pod that the webhook had not seen at its creation.
    MissedByWebhook,
    /// An object with a token that is no UUID, or whose reference leads nowhere.
    NotAToken,
    /// An object that was not followed because too many are.
    TooMany,
    /// An object without a UID or an Event without a usable subject.
    Malformed,
    /// An Event about an object of another namespace than its own.
    ForeignNamespace,
}

impl Counted {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::OtherKind,
        Self::NonWorkspace,
        Self::Aged,
        Self::Overflow,
        Self::Collapsed,
        Self::MissedByWebhook,
        Self::NotAToken,
        Self::TooMany,
        Self::Malformed,
        Self::ForeignNamespace,
    ];

    /// The reason's name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OtherKind => "other_kind",
            Self::NonWorkspace => "not_a_workspace",
            Self::Aged => "aged",
            Self::Overflow => "overflow",
            Self::Collapsed => "collapsed",
            Self::MissedByWebhook => "missed_by_webhook",
            Self::NotAToken => "not_a_token",
            Self::TooMany => "too_many",
            Self::Malformed => "malformed",
            Self::ForeignNamespace => "foreign_namespace",
        }
    }
}
