//! A certificate that somebody else provides and renews, in files.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rustls::pki_types::ServerName;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::{
    bundle::{Bundle, BundleError},
    file::{FileError, read},
    metrics::{Metrics, Refused},
    source::{CertSource, Clock},
};

/// How often the files are read, if nothing else is said: kubelet brings a new Secret a minute late anyway.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Where the chain and the key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The chain, PEM, the leaf first.
    pub certificate: PathBuf,
    /// The leaf's key, PEM.
    pub key: PathBuf,
}

impl Files {
    /// `tls.crt` and `tls.key` in a folder, as a Secret of type kubernetes.io/tls is mounted.
    pub fn in_folder(folder: &Path) -> Self {
        Self { certificate: folder.join("tls.crt"), key: folder.join("tls.key") }
    }
}

/// Why files were not taken into use. What was served before stays.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// They were replaced again and again while they were read.
    #[error("{path} was replaced each time it was read; it is read again later")]
    Unsteady {
        /// The certificate's file.
        path: PathBuf,
    },
    /// What they hold cannot be served.
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

/// Files that are read every few seconds and compared by content.
///
/// Not watched: an inotify watch on a mounted Secret's file ends with the first rotation, when kubelet swaps the
/// symlink that the path leads through.
pub struct Source {
    files: Files,
    names: Vec<ServerName<'static>>,
    interval: Duration,
    clock: Clock,
    metrics: Metrics,
    /// When the files are read next.
    next_read: Instant,
    /// What was given last.
    given: Option<Digest>,
    /// What was refused last, so that it is told once.
    refused: Option<(Option<Digest>, String)>,
}

struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// What contents are compared by: the key itself is not kept.
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
    /// A source of these files, for a server that is called by these names (none: any).
    pub fn new(
        files: Files,
        names: Vec<ServerName<'static>>,
        interval: Duration,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self { files, names, interval, clock, metrics, next_read: Instant::now(), given: None, refused: None }
    }

    /// Reads the files once and says what is wrong with them: for a caller that rather ends than waits.
    pub async fn check(&self) -> Result<Bundle, Refusal> {
        self.parse(&self.files.read().await?)
    }

    fn parse(&self, contents: &Contents) -> Result<Bundle, Refusal> {
        let now: Timestamp = (self.clock)();
        Ok(Bundle::parse(&contents.certificate, &contents.key, &self.names, now)?)
    }

    /// Reads the files; a bundle if they are good and other than before. What was refused is tried again, as it may
    /// only have come before its time.
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
            if self.refused.take().is_some() {
                info!(certificate = %self.files.certificate.display(), "serving certificate is back as it was");
            }
            return None;
        }
        match self.parse(&contents) {
            Ok(bundle) => {
                (self.given, self.refused) = (Some(digest), None);
                Some(bundle)
            }
            Err(refusal) => {
                self.refuse(Some(digest), &refusal);
                None
            }
        }
    }

    fn refuse(&mut self, digest: Option<Digest>, refusal: &Refusal) {
        let refused = Some((digest, refusal.to_string()));
        if self.refused == refused {
            return;
        }
        self.refused = refused;
        self.metrics.refuse(refusal.label());
        let kept = self.given.is_some();
        warn!(error = %refusal, certificate = %self.files.certificate.display(), kept, "serving certificate refused");
    }
}

impl CertSource for Source {
    /// Never ends: files can always change.
    async fn next(&mut self) -> Option<Bundle> {
        loop {
            sleep_until(self.next_read).await;
            let bundle = self.read().await;
            // Only now, so that a call that was dropped while reading is made good at once.
            self.next_read = Instant::now() + self.interval;
            if bundle.is_some() {
                return bundle;
            }
        }
    }
}

impl Files {
    /// Reads both as they belong together: the certificate before and after the key, since a swap may come between.
    async fn read(&self) -> Result<Contents, Refusal> {
        /// A swap takes no time, so that one more reading is nearly always enough.
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
