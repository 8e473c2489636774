//! A line of a workspace's startup log, ready to be delivered, and the identity of the fact it reports.

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use crate::{checkpoint::FactKey, identity::Uid, object::Meta};

/// Coder's levels of a log line, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Not used by this program.
    Trace,
    /// Normal things.
    Debug,
    /// Not used by this program: Coder's page shows it as a success.
    Info,
    /// What may delay or end a start.
    Warn,
    /// What ends a start.
    Error,
}

impl Level {
    /// The level's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// The longest line this program sends, in characters. Coder cuts a line at 1,024 without a word.
pub const MAX_CHARS: usize = 1_000;

/// A line for one agent's startup log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it happened.
    pub at: Timestamp,
    /// How bad it is.
    pub level: Level,
    /// At most [`MAX_CHARS`] characters, no NUL, no secrets; may hold ANSI colours.
    pub text: String,
    /// Whether the reader was told of this before: such a line may wait for first ones.
    pub repeat: bool,
    /// The fact it tells, to be settled when the line was delivered or given up.
    pub fact_id: Option<FactId>,
}

/// The streams of facts, each with a resourceVersion of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// core/v1 Events.
    Events,
    /// core/v1 Pods.
    Pods,
    /// apps/v1 ReplicaSets.
    ReplicaSets,
    /// apps/v1 StatefulSets.
    StatefulSets,
    /// batch/v1 Jobs.
    Jobs,
}

impl Stream {
    /// Every stream.
    pub const ALL: [Self; 5] = [Self::Events, Self::Pods, Self::ReplicaSets, Self::StatefulSets, Self::Jobs];

    /// The resource's plural name in the Kubernetes API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Pods => "pods",
            Self::ReplicaSets => "replicasets",
            Self::StatefulSets => "statefulsets",
            Self::Jobs => "jobs",
        }
    }
}

/// A stream within one namespace, or within all: what one watch covers. The number is an index into the list of
/// scopes that the program watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(pub u16);

/// Where in the cluster's history a fact stands, so that it is told once even over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactId {
    /// The scope it came by.
    pub scope: ScopeId,
    /// Its resourceVersion.
    pub revision: u64,
    /// What it is about.
    pub subject: Uid,
    /// Which of the subject's facts it is.
    pub fact: FactKey,
}

impl FactId {
    /// Another fact that the same observation shows.
    #[must_use]
    pub fn of_fact(self, fact: FactKey) -> Self {
        Self { fact, ..self }
    }
}

/// One workspace over its starts: the namespace and Coder's workspace id. Each start has a new token.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkspaceKey(Arc<str>);

impl WorkspaceKey {
    /// The workspace of an object, if its labels carry Coder's workspace id.
    pub fn of(namespace: &str, meta: &Meta) -> Option<Self> {
        let id = meta.labels.get("com.coder.workspace.id").filter(|id| !id.is_empty())?;
        Some(Self(format!("{namespace}/{id}").into()))
    }
}

impl fmt::Debug for WorkspaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
