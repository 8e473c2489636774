//! What kind of cluster to start.

use std::time::Duration;

/// Which components run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Components {
    /// etcd and the API server: objects can be written, and nothing acts on them.
    ControlPlane,
    /// Also the controllers, the scheduler and a simulated node: workloads run.
    #[default]
    Full,
}

/// What kind of cluster to start.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    pub(super) components: Components,
    pub(super) apiserver_arguments: Vec<String>,
    pub(super) controller_manager_arguments: Vec<String>,
    pub(super) event_ttl: Option<Duration>,
    pub(super) audit_policy: Option<String>,
}

impl ClusterOptions {
    /// Everything runs, with Kubernetes' own defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only etcd and the API server.
    #[must_use]
    pub fn control_plane_only(mut self) -> Self {
        self.components = Components::ControlPlane;
        self
    }

    /// Another argument of the API server, such as `--watch-cache=false`.
    #[must_use]
    pub fn apiserver_argument(mut self, argument: impl Into<String>) -> Self {
        self.apiserver_arguments.push(argument.into());
        self
    }

    /// Another argument of the controller manager.
    #[must_use]
    pub fn controller_manager_argument(mut self, argument: impl Into<String>) -> Self {
        self.controller_manager_arguments.push(argument.into());
        self
    }

    /// How long Events are kept (Kubernetes' default is one hour).
    #[must_use]
    pub fn event_ttl(mut self, ttl: Duration) -> Self {
        self.event_ttl = Some(ttl);
        self
    }

    /// Writes `audit.log` into the cluster's directory, by this policy (YAML of an audit.k8s.io/v1 Policy).
    #[must_use]
    pub fn audit_policy(mut self, policy: impl Into<String>) -> Self {
        self.audit_policy = Some(policy.into());
        self
    }
}
