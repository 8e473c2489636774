//! Errors that end the program, and their exit codes.

use std::io;

use logstream_certs as certs;

use crate::{
    coder,
    config::ClusterError,
    kubernetes::ClientError,
    runtime::{TaskFailed, listen::ListenError, shutdown::Signal},
};

/// An error that ends the program.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The kubeconfig or the ServiceAccount cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The Kubernetes client cannot be created.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The client for Coder cannot be created.
    #[error(transparent)]
    Coder(#[from] coder::ConfigError),
    /// A port is not available.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The file of client CAs cannot be read, or is empty.
    #[error("--webhook-client-ca: {0}")]
    ClientCa(#[from] certs::ClientCaFileError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] certs::ServerConfigError),
    /// Signals cannot be handled.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
    /// A task of the program ended.
    #[error(transparent)]
    Task(#[from] TaskFailed),
    /// A second signal arrived.
    #[error("ended at once by a second signal, {0}")]
    Forced(Signal),
}

impl AppError {
    /// 2 for an error of the settings, the shell's code for a signal, 1 for all others.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Task(_) | Self::Signals(_) => 1,
            Self::Forced(signal) => signal.exit_code(),
            _ => 2,
        }
    }
}
