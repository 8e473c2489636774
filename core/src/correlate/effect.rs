//! Effects: requests of the correlator to its caller.

use std::collections::BTreeSet;

use super::Start;
use crate::{
    causes::Cause,
    checkpoint::FactKey,
    extract::TokenSource,
    fact_id::{FactId, ScopeId},
    finding::Finding,
    identity::{Subject, Uid},
    token::AgentToken,
    workspace::WorkspaceKey,
};

/// A request to the caller, which does all I/O. Effects are carried out in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Report this finding to its agents.
    Finding(Finding),
    /// A live object carries the agent.
    Open {
        /// The agent.
        agent: AgentToken,
        /// Its workspace, if the object's labels name it.
        workspace: Option<WorkspaceKey>,
    },
    /// The workspace of this agent has another owner: for Coder, its token now belongs to a new agent.
    Claimed(AgentToken),
    /// No object carries the agent any more.
    Ended(AgentToken),
    /// Read this object from the API server; answered by `Observation::LookedUp`.
    LookUp(Subject),
    /// Check whether this object exists and is selected; answered by `Observation::PresenceChecked`.
    CheckPresence(Subject),
    /// Resolve this reference; answered by `Observation::Resolved`.
    Resolve {
        /// The object whose spec has the reference.
        subject: Subject,
        /// The reference.
        source: TokenSource,
    },
    /// References of this object need not be resolved any more.
    Forget(Uid),
    /// The correlator holds this fact for later.
    Hold(FactId),
    /// A held fact was reported or dropped.
    Ack(FactId),
    /// These facts of an object's status need not be reported again, except those that are not delivered yet. Comes
    /// after the findings about them. The set is empty when the object is gone.
    Known {
        /// The scope that shows the object.
        scope: ScopeId,
        /// The object.
        subject: Uid,
        /// All its facts.
        facts: BTreeSet<FactKey>,
    },
    /// Increment this counter.
    Count(Counted),
    /// A start has trouble. Comes once for each object and cause.
    StartFailed {
        /// The start.
        start: Start,
        /// Cause of the trouble.
        cause: &'static Cause,
    },
    /// All containers of a pod run for the first time.
    Started {
        /// The start.
        start: Start,
        /// Causes of its earlier trouble, the first one first.
        after: Vec<&'static Cause>,
    },
}

/// Counted conditions. A closed set, for metrics.
///
/// Each observed fact ends as one of `Reported` to `Collapsed` or as `ForeignNamespace`, or is a waiting Event. The
/// others count objects and requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Counted {
    /// A fact: an Event (of a claim or a node, one for each pod that it concerns), a fact of a pod's status seen for
    /// the first time, or the creation or deletion of a workspace's object.
    Observed,
    /// A fact that became a finding when it was observed.
    Reported,
    /// A fact that was reported before: by an earlier process, another Event, or the object's status.
    Known,
    /// An Event about another kind of object.
    OtherKind,
    /// An Event whose object is not a workspace.
    #[strum(serialize = "not_a_workspace")]
    NonWorkspace,
    /// An Event whose object was not found in time.
    Aged,
    /// An Event dropped because too many were waiting.
    Overflow,
    /// A fact merged with others of its cause, or explained by another one. A later finding may say how many there
    /// were.
    Collapsed,
    /// A pod that the webhook did not see at its creation.
    MissedByWebhook,
    /// An object whose token is not a UUID, or whose reference cannot be resolved.
    NotAToken,
    /// An object that is not tracked because too many are.
    TooMany,
    /// An object without a UID, or an Event without a usable object.
    Malformed,
    /// An Event about an object in another namespace.
    ForeignNamespace,
    /// A lookup, a token search, or a finding held for a token, dropped because too many were waiting.
    Unasked,
}
