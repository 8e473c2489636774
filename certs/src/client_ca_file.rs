//! A client CA bundle in a file that is rotated externally.

use std::{path::PathBuf, sync::Arc};

use logstream_runtime::LogOnce;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::{
    client_ca::{ClientCa, ClientCaError, ClientVerifier},
    file::{FileError, read},
    labels::Refused,
    metrics::Metrics,
    provided::INTERVAL,
};

/// The client CA file is unusable. The previously accepted CAs stay in force.
#[derive(Debug, thiserror::Error)]
pub enum ClientCaFileError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file holds no usable CA.
    #[error("{path}: {error}")]
    Content {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: ClientCaError,
    },
}

impl ClientCaFileError {
    fn refused(&self) -> Refused {
        match self {
            Self::File(error) => error.refused(),
            Self::Content { .. } => Refused::Malformed,
        }
    }
}

/// A client CA file, polled and compared by content like the files of [`crate::provided::Source`].
pub struct ClientCaFile {
    path: PathBuf,
    metrics: Metrics,
    verifier: Arc<ClientVerifier>,
    /// Content accepted last.
    accepted: Vec<u8>,
    /// The error of the current content.
    refused: LogOnce<String>,
}

impl ClientCaFile {
    /// Reads the file for the first time. There is no previous content to fall back on, so the caller handles the error.
    pub async fn open(path: PathBuf, metrics: Metrics) -> Result<Self, ClientCaFileError> {
        let accepted = read(&path).await?;
        let cas = match ClientCa::parse(&accepted) {
            Ok(cas) => cas,
            Err(error) => return Err(ClientCaFileError::Content { path, error }),
        };
        metrics.client_ca_changed();
        Ok(Self { path, metrics, verifier: Arc::new(ClientVerifier::new(cas)), accepted, refused: LogOnce::default() })
    }

    /// The verifier that follows the file, for [`crate::server_config`].
    pub fn verifier(&self) -> Arc<ClientVerifier> {
        self.verifier.clone()
    }

    /// Applies each new content of the file. Never returns; run it under a supervisor.
    pub async fn keep(mut self) {
        loop {
            sleep(INTERVAL).await;
            match self.look().await {
                Ok(true) => {
                    info!(path = %self.path.display(), "client CA changed");
                    self.metrics.client_ca_changed();
                    self.refused.end();
                }
                Ok(false) => {
                    self.refused.end();
                }
                Err(error) => self.refuse(&error),
            }
        }
    }

    /// Reads the file. Returns true if the accepted CAs changed.
    async fn look(&mut self) -> Result<bool, ClientCaFileError> {
        let content = read(&self.path).await?;
        if content == self.accepted {
            return Ok(false);
        }
        let malformed = |error| ClientCaFileError::Content { path: self.path.clone(), error };
        self.verifier.accept(ClientCa::parse(&content).map_err(malformed)?);
        self.accepted = content;
        Ok(true)
    }

    fn refuse(&mut self, error: &ClientCaFileError) {
        if self.refused.is_new(error.to_string()) {
            warn!(%error, "client CA file rejected, keeping the previous CAs");
            self.metrics.refuse_client_ca(error.refused());
        }
    }
}
