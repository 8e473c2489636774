//! The kinds of Kubernetes objects that this program knows, and what it watches.

use std::fmt;

/// Declares the kinds: the name, the API group (empty for core) and the resource's plural name. The version is always
/// `v1`.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident: $group:literal / $plural:literal;)*) => {
        /// A kind of object that a line can be about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// Every kind, in the order of this list.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The kind's name in the Kubernetes API, as `involvedObject.kind` and `ownerReferences[].kind` write it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($kind),)*
                }
            }

            /// The kind's API group; empty for core.
            pub fn group(self) -> &'static str {
                match self {
                    $(Self::$kind => $group,)*
                }
            }

            /// The plural name of the kind's resource.
            pub fn plural(self) -> &'static str {
                match self {
                    $(Self::$kind => $plural,)*
                }
            }
        }
    };
}

kinds! {
    /// core/v1
    Pod: "" / "pods";
    /// apps/v1
    Deployment: "apps" / "deployments";
    /// apps/v1
    ReplicaSet: "apps" / "replicasets";
    /// apps/v1
    StatefulSet: "apps" / "statefulsets";
    /// batch/v1
    Job: "batch" / "jobs";
}

impl Kind {
    /// The kind of this name; `None` if it is not in the list.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

impl Kind {
    /// True if the webhook records it. The agents of a Deployment are those of its ReplicaSet.
    pub fn is_admitted(self) -> bool {
        self != Self::Deployment
    }

    /// True if a line announces its creation and deletion. A Deployment is announced by its ReplicaSet.
    pub fn is_announced(self) -> bool {
        self != Self::Deployment
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A watched resource, with resourceVersions of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// core/v1 Events.
    Events,
    /// core/v1 Events about nodes, in the namespace where those are written.
    NodeEvents,
    /// Objects of a kind.
    Objects(Kind),
}

impl Resource {
    /// Number of resources of each namespace.
    pub const COUNT: usize = 1 + Kind::ALL.len();

    /// Every resource of a namespace: all but the Events of nodes.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        std::iter::once(Self::Events).chain(Kind::ALL.iter().copied().map(Self::Objects))
    }

    /// The name of its kind in the Kubernetes API.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Events | Self::NodeEvents => "Event",
            Self::Objects(kind) => kind.as_str(),
        }
    }

    /// Its API group; empty for core.
    pub fn group(self) -> &'static str {
        match self {
            Self::Events | Self::NodeEvents => "",
            Self::Objects(kind) => kind.group(),
        }
    }

    /// Its plural name in the Kubernetes API.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Events | Self::NodeEvents => "events",
            Self::Objects(kind) => kind.plural(),
        }
    }

    /// Its name in checkpoints and metrics: the plural, except for the Events of nodes.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeEvents => "nodeevents",
            resource => resource.plural(),
        }
    }

    /// True for Events, of whatever.
    pub fn is_events(self) -> bool {
        matches!(self, Self::Events | Self::NodeEvents)
    }

    /// True if the program is useful without it: it delays no readiness.
    pub fn is_optional(self) -> bool {
        self == Self::NodeEvents
    }
}
