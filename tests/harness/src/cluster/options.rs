//! Options of a cluster.

use std::time::Duration;

/// Components of a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Components {
    /// etcd and the API server: no controller acts on objects.
    ControlPlane,
    /// Also the controller manager, the scheduler and a simulated node: workloads run.
    #[default]
    Full,
}

/// Options of a cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    pub(super) components: Components,
    pub(super) apiserver_arguments: Vec<String>,
    pub(super) controller_manager_arguments: Vec<String>,
    pub(super) event_ttl: Option<Duration>,
    pub(super) audit_policy: Option<String>,
}

impl ClusterOptions {
    /// All components, with Kubernetes' defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only etcd and the API server.
    #[must_use]
    pub fn control_plane_only(mut self) -> Self {
        self.components = Components::ControlPlane;
        self
    }

    /// Adds an argument of the API server, such as `--watch-cache=false`.
    #[must_use]
    pub fn apiserver_argument(mut self, argument: impl Into<String>) -> Self {
        self.apiserver_arguments.push(argument.into());
        self
    }

    /// Adds an argument of the controller manager.
    #[must_use]
    pub fn controller_manager_argument(mut self, argument: impl Into<String>) -> Self {
        self.controller_manager_arguments.push(argument.into());
        self
    }

    /// Time to live of Events (Kubernetes' default is one hour).
    #[must_use]
    pub fn event_ttl(mut self, ttl: Duration) -> Self {
        self.event_ttl = Some(ttl);
        self
    }

    /// Writes `audit.log` into the cluster's directory, according to this policy (YAML of an audit.k8s.io/v1 Policy).
    #[must_use]
    pub fn audit_policy(mut self, policy: impl Into<String>) -> Self {
        self.audit_policy = Some(policy.into());
        self
    }
}
