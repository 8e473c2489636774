//! Kinds of Kubernetes objects that this program knows, and the resources that it watches.

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

            /// Returns the kind's name in the Kubernetes API, as in `involvedObject.kind` and `ownerReferences[].kind`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($kind),)*
                }
            }

            /// Returns the kind's API group; empty for core.
            pub fn group(self) -> &'static str {
                match self {
                    $(Self::$kind => $group,)*
                }
            }

            /// Returns the plural name of the kind's resource.
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
    /// Returns the kind of this name; `None` if it is not in the list.
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

    /// Returns every resource of a namespace: all but the Events of nodes.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        std::iter::once(Self::Events).chain(Kind::ALL.iter().copied().map(Self::Objects))
    }

    /// Returns the name of its kind in the Kubernetes API.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Events | Self::NodeEvents => "Event",
            Self::Objects(kind) => kind.as_str(),
        }
    }

    /// Returns its API group; empty for core.
    pub fn group(self) -> &'static str {
        match self {
            Self::Events | Self::NodeEvents => "",
            Self::Objects(kind) => kind.group(),
        }
    }

    /// Returns its plural name in the Kubernetes API.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Events | Self::NodeEvents => "events",
            Self::Objects(kind) => kind.plural(),
        }
    }

    /// Returns its name in checkpoints and metrics: the plural, except for the Events of nodes.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeEvents => "nodeevents",
            resource => resource.plural(),
        }
    }

    /// True for Events about any object.
    pub fn is_events(self) -> bool {
        matches!(self, Self::Events | Self::NodeEvents)
    }

    /// True if the program is useful without it. Such a resource does not delay readiness.
    pub fn is_optional(self) -> bool {
        self == Self::NodeEvents
    }
}
