//! Helpers: a CA, a clock, and a directory that is updated as by the kubelet.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use logstream_certs::{
    Metrics,
    issue::{Issued, SigningCa},
    provided::{self, Files, Source},
};
use rustls::pki_types::ServerName;
use tempfile::TempDir;

pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const NAME: &str = "coder-logstream-kube.coder.svc";

/// Handshakes use the system clock, so certificates must be issued with it.
#[expect(clippy::disallowed_methods, reason = "a test's own clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

pub(crate) fn clock() -> std::sync::Arc<dyn logstream_runtime::Clock> {
    Arc::new(now)
}

pub(crate) fn name(text: &str) -> ServerName<'static> {
    ServerName::try_from(text.to_owned()).unwrap()
}

pub(crate) fn ca() -> SigningCa {
    SigningCa::new("a CA", now(), 24 * HOUR).unwrap()
}

pub(crate) fn serving_cert(ca: &SigningCa) -> Issued {
    ca.issue(&[name(NAME)], now(), HOUR).unwrap()
}

/// A Secret mounted as by the kubelet: `tls.crt` is a link to `..data/tls.crt`, and `..data` a link to a directory that
/// is never changed. A new version is a new directory and one rename of the link.
pub(crate) struct Mounted {
    directory: TempDir,
    version: u32,
}

impl Mounted {
    pub(crate) fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), version: 0 }
    }

    pub(crate) fn of(issued: &Issued) -> Self {
        let mut mounted = Self::empty();
        mounted.swap(issued);
        mounted
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn swap(&mut self, issued: &Issued) {
        let at = |name: &str| self.directory.path().join(name);
        let old = format!("..version_{}", self.version);
        self.version += 1;
        let new = format!("..version_{}", self.version);
        fs::create_dir(at(&new)).unwrap();
        for (file, text) in [("tls.crt", &issued.certificate), ("tls.key", &issued.key)] {
            fs::write(at(&new).join(file), text).unwrap();
            if self.version == 1 {
                symlink(PathBuf::from("..data").join(file), at(file)).unwrap();
            }
        }
        symlink(&new, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        if at(&old).exists() {
            fs::remove_dir_all(at(&old)).unwrap();
        }
    }

    pub(crate) fn source(&self, metrics: &Metrics) -> Source {
        Source::new(Files::in_directory(self.path()), vec![name(NAME)], provided::INTERVAL, clock(), metrics.clone())
    }
}
