//! A client CA in a file, which somebody else replaces.

use std::{path::PathBuf, sync::Arc};

use tokio::time::sleep;
use tracing::{info, warn};

use crate::{
    client_ca::{ClientCa, ClientCaError, ClientVerifier},
    file::{FileError, read},
    metrics::{Metrics, Refused},
    provided::INTERVAL,
};

/// Why a file was not taken for the client CA. What was accepted before stays.
#[derive(Debug, thiserror::Error)]
pub enum ClientCaFileError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// What it holds cannot be used.
    #[error("{path}: {error}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
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

/// A file that is read every few seconds and compared by content, as the serving certificate's are (see
/// [`crate::provided::Source`]).
pub struct ClientCaFile {
    path: PathBuf,
    metrics: Metrics,
    verifier: Arc<ClientVerifier>,
    /// What is accepted now.
    accepted: Vec<u8>,
    /// What was refused last, so that it is told once.
    refused: Option<String>,
}

impl ClientCaFile {
    /// Reads the file for the first time, when nothing good is there to fall back on: an error is the caller's to act
    /// upon.
    pub async fn open(path: PathBuf, metrics: Metrics) -> Result<Self, ClientCaFileError> {
        let accepted = read(&path).await?;
        let authorities = match ClientCa::parse(&accepted) {
            Ok(authorities) => authorities,
            Err(error) => return Err(ClientCaFileError::Content { path, error }),
        };
        metrics.client_ca_changed();
        Ok(Self { path, metrics, verifier: Arc::new(ClientVerifier::new(authorities)), accepted, refused: None })
    }

    /// What goes by the file: for [`crate::server_config`].
    pub fn verifier(&self) -> Arc<ClientVerifier> {
        self.verifier.clone()
    }

    /// Takes up each new content. Never ends; the caller supervises it.
    pub async fn keep(mut self) {
        loop {
            sleep(INTERVAL).await;
            match self.look().await {
                Ok(true) => {
                    info!(path = %self.path.display(), "client CA changed");
                    self.metrics.client_ca_changed();
                    self.refused = None;
                }
                Ok(false) => self.refused = None,
                Err(error) => self.refuse(&error),
            }
        }
    }

    /// Reads the file; says whether other authorities are accepted since.
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
        let text = error.to_string();
        if self.refused.as_ref() != Some(&text) {
            warn!(%error, "client CA refused, the last good one stays");
            self.metrics.refuse_client_ca(error.refused());
            self.refused = Some(text);
        }
    }
}
