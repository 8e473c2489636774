//! A serving certificate in files that are renewed externally, for example by cert-manager.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use logstream_runtime::{Clock, LogOnce};
use rustls::pki_types::ServerName;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::{
    bundle::{Bundle, BundleError},
    file::{FileError, read},
    labels::Refused,
    metrics::Metrics,
    source::CertSource,
};

/// Default poll interval. The kubelet itself refreshes a mounted Secret only once a minute or so.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Paths of the certificate chain and the private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Certificate chain, PEM, serving certificate first.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

impl Files {
    /// `tls.crt` and `tls.key` in a directory, the layout of a mounted Secret of type `kubernetes.io/tls`.
    pub fn in_directory(directory: &Path) -> Self {
        Self { certificate: directory.join("tls.crt"), key: directory.join("tls.key") }
    }
}

/// The files are unusable. The previous certificate stays in use.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The files were replaced during every attempt to read them.
    #[error("{path} changed during every attempt to read it; it will be read again")]
    Unsteady {
        /// Path of the certificate.
        path: PathBuf,
    },
    /// The content cannot be served.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl Refusal {
    fn label(&self) -> Refused {
        match self {
            Self::File(error) => error.refused(),
            Self::Unsteady { .. } => Refused::Unreadable,
            Self::Bundle(error) => error.refused(),
        }
    }
}

/// Polls the files and compares them by content.
///
/// inotify is not used: a watch on a file of a mounted Secret dies at the first rotation, when the kubelet swaps the
/// `..data` symlink.
pub struct Source {
    files: Files,
    names: Vec<ServerName<'static>>,
    interval: Duration,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// Time of the next poll.
    next_read: Instant,
    /// Digest of the content returned last.
    given: Option<Digest>,
    /// The error of the current content.
    refused: LogOnce<(Option<Digest>, String)>,
}

struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// SHA-256 of certificate and key, kept for comparison instead of the key itself.
type Digest = [u8; 32];

impl Contents {
    fn digest(&self) -> Digest {
        let mut sha = Sha256::new();
        sha.update(Sha256::digest(&self.certificate));
        sha.update(Sha256::digest(&self.key));
        sha.finalize().into()
    }
}

impl Source {
    /// Creates a source. The certificate must cover all `names`; an empty list accepts any certificate.
    pub fn new(
        files: Files,
        names: Vec<ServerName<'static>>,
        interval: Duration,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        Self {
            files,
            names,
            interval,
            clock,
            metrics,
            next_read: Instant::now(),
            given: None,
            refused: LogOnce::default(),
        }
    }

    /// Reads the files once and returns the error, for callers that fail instead of waiting.
    pub async fn check(&self) -> Result<Bundle, Refusal> {
        self.parse(&self.files.read().await?)
    }

    fn parse(&self, contents: &Contents) -> Result<Bundle, Refusal> {
        let now: Timestamp = self.clock.now();
        Ok(Bundle::parse(&contents.certificate, &contents.key, &self.names, now)?)
    }

    /// Returns a bundle if the files are valid and have changed. Rejected content is checked again at each poll, because
    /// a certificate that is not valid yet becomes valid.
    async fn read(&mut self) -> Option<Bundle> {
        let contents = match self.files.read().await {
            Ok(contents) => contents,
            Err(refusal) => {
                self.refuse(None, &refusal);
                return None;
            }
        };
        let digest = contents.digest();
        if self.given == Some(digest) {
            if self.refused.end() {
                info!(certificate = %self.files.certificate.display(), "serving certificate unchanged after all");
            }
            return None;
        }
        match self.parse(&contents) {
            Ok(bundle) => {
                self.given = Some(digest);
                self.refused.end();
                Some(bundle)
            }
            Err(refusal) => {
                self.refuse(Some(digest), &refusal);
                None
            }
        }
    }

    fn refuse(&mut self, digest: Option<Digest>, refusal: &Refusal) {
        if !self.refused.is_new((digest, refusal.to_string())) {
            return;
        }
        self.metrics.refuse(refusal.label());
        let kept = self.given.is_some();
        warn!(error = %refusal, certificate = %self.files.certificate.display(), kept, "serving certificate rejected");
    }
}

impl CertSource for Source {
    /// Never returns `None`: files can change at any time.
    async fn next(&mut self) -> Option<Bundle> {
        loop {
            sleep_until(self.next_read).await;
            let bundle = self.read().await;
            // Set after the read, so that a call cancelled during the read polls again at once.
            self.next_read = Instant::now() + self.interval;
            if bundle.is_some() {
                return bundle;
            }
        }
    }
}

impl Files {
    /// Reads a consistent pair: the certificate is read before and after the key to detect a swap in between.
    async fn read(&self) -> Result<Contents, Refusal> {
        /// A swap is atomic, so a second attempt nearly always succeeds.
        const ATTEMPTS: usize = 3;
        let mut certificate = read(&self.certificate).await?;
        for _ in 0..ATTEMPTS {
            let key = read(&self.key).await?;
            let again = read(&self.certificate).await?;
            if again == certificate {
                return Ok(Contents { certificate, key });
            }
            certificate = again;
        }
        Err(Refusal::Unsteady { path: self.certificate.clone() })
    }
}
