//! Which tools there are.

use std::fmt;

/// A program of the test cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// Deployments, Jobs, quotas, garbage collection and the rest.
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// Plays the kubelet.
    Kwok,
    /// The command line.
    Kubectl,
    /// Installs the chart.
    Helm,
    /// cert-manager's controllers in one program; only certificate tests need it.
    CertManager,
}

impl Tool {
    /// What [`crate::Cluster`] runs on and with.
    pub const CLUSTER: [Self; 7] =
        [Self::Kwok, Self::Etcd, Self::Kubectl, Self::Scheduler, Self::ApiServer, Self::ControllerManager, Self::Helm];

    /// The file name of the program.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The package in the Go module `tests/cluster` that it is built from.
    pub(super) const fn package(self) -> &'static str {
        self.row().1
    }

    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Etcd => ("etcd", "./etcd"),
            Self::ApiServer => ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            Self::ControllerManager => ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
            Self::Scheduler => ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            Self::Kwok => ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
            Self::Kubectl => ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            Self::Helm => ("helm", "helm.sh/helm/v4/cmd/helm"),
            Self::CertManager => ("certmanager", "./certmanager"),
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
