//! The programs that the tests and the demo use.

use std::fmt;

/// A program of the test cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// The cluster's store.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers of Deployments, Jobs, quotas and the rest.
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// Simulates the kubelet.
    Kwok,
    /// The command line client.
    Kubectl,
    /// Installs the chart. Only chart tests and the demo need it.
    Helm,
    /// cert-manager's controllers in one program. Only certificate tests need it.
    CertManager,
    /// The agent of a real node. Only tests on a real node need it.
    Kubelet,
}

impl Tool {
    /// The tools that [`crate::Cluster`] needs, in the order in which they are built.
    pub const CLUSTER: [Self; 6] =
        [Self::Kwok, Self::Etcd, Self::Kubectl, Self::Scheduler, Self::ApiServer, Self::ControllerManager];

    /// The tools that the demo needs: those of the cluster, and helm.
    pub const DEMO: [Self; 7] =
        [Self::Kwok, Self::Etcd, Self::Kubectl, Self::Scheduler, Self::ApiServer, Self::ControllerManager, Self::Helm];

    /// File name of the program.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Its package in its Go module (see [`super::module::of`]).
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
            Self::Kubelet => ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
