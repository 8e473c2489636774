//! HTTP requests: reachability, small texts, and files with their SHA-256.

use std::error::Error as _;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use sha2::{Digest, Sha256};

use super::checksum::hex;
use crate::{blocking, pki};

/// Maximum size of a released file; the largest today has 120 MB.
const MAX_FILE: u64 = 512 * 1024 * 1024;
/// Maximum size of a checksum file; etcd's has 3 kB.
const MAX_TEXT: usize = 64 * 1024;
/// Number of bytes between two progress reports.
const REPORT_EVERY: u64 = 2_000_000;

/// Time limits of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Time limit for name resolution, TCP and TLS together.
    pub(super) connect: Duration,
    /// Time limit for a whole small request.
    pub(super) answer: Duration,
    /// Time limit between two pieces of a file.
    pub(super) idle: Duration,
    /// Time limit for a whole file. A slower download than this takes longer than a build.
    pub(super) file: Duration,
}

impl Limits {
    pub(super) const DEFAULT: Self = Self {
        connect: Duration::from_secs(3),
        answer: Duration::from_secs(5),
        idle: Duration::from_secs(15),
        file: Duration::from_mins(5),
    };
}

/// Error of a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransferError {
    /// The server cannot be reached, stopped sending, or is too slow. Further requests to it are not worth trying.
    #[error("{url}: {reason}")]
    Connection {
        /// The URL.
        url: String,
        /// The innermost causes.
        reason: String,
    },
    /// The server answered with an error.
    #[error("{url}: HTTP status {status}")]
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: StatusCode,
    },
    /// The answer is too large to be what was requested.
    #[error("{url}: larger than {limit} bytes")]
    TooLarge {
        /// The URL.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// The file cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// The I/O error.
        source: std::io::Error,
    },
}

/// Sends requests with the proxy settings of the environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Http {
    pub(super) limits: Limits,
    /// Follow redirects to https only.
    pub(super) https_only: bool,
}

impl Http {
    fn client(self) -> Result<Client, reqwest::Error> {
        pki::install_crypto_provider();
        Client::builder()
            .connect_timeout(self.limits.connect)
            .read_timeout(self.limits.idle)
            .https_only(self.https_only)
            .build()
    }

    /// Fails unless the server answers, whatever the answer is.
    pub(super) fn probe(self, url: &str) -> Result<(), TransferError> {
        blocking::run(async {
            let request = self.client().map_err(connection(url))?.head(url).timeout(self.limits.answer);
            request.send().await.map(drop).map_err(connection(url))
        })
    }

    /// Gets a small text.
    pub(super) fn text(self, url: &str) -> Result<String, TransferError> {
        blocking::run(async {
            let request = self.client().map_err(connection(url))?.get(url).timeout(self.limits.answer);
            let mut response = successful(request.send().await.map_err(connection(url))?, url)?;
            let mut text = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(connection(url))? {
                text.extend_from_slice(&piece);
                if text.len() > MAX_TEXT {
                    return Err(TransferError::TooLarge { url: url.to_owned(), limit: MAX_TEXT as u64 });
                }
            }
            Ok(String::from_utf8_lossy(&text).into_owned())
        })
    }

    /// Downloads a file and returns its SHA-256. `report` gets the bytes received and the announced size.
    pub(super) fn file(
        self,
        url: &str,
        path: &Path,
        report: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<String, TransferError> {
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            let download = scope.spawn(move || blocking::run(self.save(url, path, sender)));
            for (received, size) in receiver {
                report(received, size);
            }
            download.join().expect("the download does not panic")
        })
    }

    async fn save(
        self,
        url: &str,
        path: &Path,
        reports: mpsc::Sender<(u64, Option<u64>)>,
    ) -> Result<String, TransferError> {
        let failed = |source| TransferError::Write { path: path.display().to_string(), source };
        let request = self.client().map_err(connection(url))?.get(url).timeout(self.limits.file);
        let mut response = successful(request.send().await.map_err(connection(url))?, url)?;
        let size = response.content_length();
        let mut file = File::create(path).map_err(failed)?;
        let (mut hash, mut received, mut reported) = (Sha256::new(), 0, 0);
        while let Some(piece) = response.chunk().await.map_err(connection(url))? {
            received += piece.len() as u64;
            if received > MAX_FILE {
                return Err(TransferError::TooLarge { url: url.to_owned(), limit: MAX_FILE });
            }
            hash.update(&piece);
            file.write_all(&piece).map_err(failed)?;
            if received - reported >= REPORT_EVERY {
                reported = received;
                let _ = reports.send((received, size));
            }
        }
        Ok(hex(&hash.finalize()))
    }
}

fn successful(response: Response, url: &str) -> Result<Response, TransferError> {
    let status = response.status();
    if status.is_success() { Ok(response) } else { Err(TransferError::Status { url: url.to_owned(), status }) }
}

/// The URL that was requested, and the causes below reqwest's own text, which repeats it.
fn connection(url: &str) -> impl Fn(reqwest::Error) -> TransferError {
    move |error| {
        let mut reasons = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            reasons.push(cause.to_string());
            source = cause.source();
        }
        if reasons.is_empty() {
            reasons.push(error.to_string());
        }
        TransferError::Connection { url: url.to_owned(), reason: reasons.join(": ") }
    }
}
