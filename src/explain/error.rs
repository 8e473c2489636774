//! Reasons why nothing can be explained.

use std::io;

use crate::{config::ClusterError, kubernetes::ClientError, watch::Scope};

/// Nothing can be explained.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// The kubeconfig or the ServiceAccount cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A client cannot be created from them.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Pods or Events may not be read.
    #[error("no permission to read {}", .0.words())]
    Forbidden(Scope),
    /// The same, with the permissions that are missing.
    #[error("{0}")]
    Denied(String),
    /// The API server gives no useful answer.
    #[error("{0}")]
    Unreadable(String),
    /// The same, with the server's address.
    #[error("the cluster at {server} cannot be read: {why}")]
    Unreachable {
        /// The API server's address.
        server: String,
        /// Description of the error.
        why: String,
    },
    /// There is no such object.
    #[error("{0}")]
    NotFound(String),
    /// Standard output is closed, or the like.
    #[error(transparent)]
    Output(#[from] io::Error),
}

impl Problem {
    /// The exit code; see the help of `explain`.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound(_) => 3,
            _ => 4,
        }
    }
}
