//! Certificate files, checked before the program starts.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// CA certificates that replace those of the system for verifying Coder's certificate, from `SSL_CERT_FILE` and
/// `SSL_CERT_DIR`. The HTTP client reads the same two variables.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trust {
    /// A file with at least one certificate.
    pub file: Option<PathBuf>,
    /// Directories, of which at least one exists. May be empty.
    pub directories: Vec<PathBuf>,
}

/// Checks that a PEM file has at least one certificate that can be a trust anchor.
pub(crate) fn file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let unreadable = |error: &dyn std::fmt::Display| format!("which cannot be read ({error})");
    let pem = std::fs::read(&path).map_err(|error| unreadable(&error))?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "which is not valid PEM".to_owned())?;
    let (usable, _) = RootCertStore::empty().add_parsable_certificates(certificates);
    if usable == 0 { Err("which contains no certificate".to_owned()) } else { Ok(path) }
}

/// Parses directories separated by colons. As in OpenSSL and Go, missing ones are ignored, but one must exist. This is
/// not checked if they are on another machine.
pub(crate) fn directories(text: &str, elsewhere: bool) -> Result<Vec<PathBuf>, String> {
    let directories: Vec<_> = text.split(':').filter(|directory| !directory.is_empty()).map(PathBuf::from).collect();
    if elsewhere || directories.iter().any(|directory| directory.is_dir()) {
        Ok(directories)
    } else {
        Err("where no directory exists".to_owned())
    }
}

/// Checks that a directory exists.
pub(crate) fn directory(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(path.to_owned()),
        Ok(_) => Err("which is not a directory".to_owned()),
        Err(error) => Err(format!("which cannot be read ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_needs_a_certificate() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("ca.crt");
        let text = path.to_str().unwrap();

        assert!(file(text).unwrap_err().starts_with("which cannot be read ("));
        std::fs::write(&path, "").unwrap();
        assert_eq!(file(text), Err("which contains no certificate".to_owned()));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert_eq!(file(text), Err("which contains no certificate".to_owned()));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
        assert_eq!(file(text), Err("which is not valid PEM".to_owned()));

        let certificate = rcgen::generate_simple_self_signed(["coder.example.com".to_owned()]).unwrap().cert;
        std::fs::write(&path, certificate.pem()).unwrap();
        assert_eq!(file(text), Ok(path.clone()));
        assert_eq!(directory(text), Err("which is not a directory".to_owned()));
    }

    #[test]
    fn one_of_several_directories_must_exist() {
        let scratch = tempfile::tempdir().unwrap();
        let here = scratch.path().to_str().unwrap();
        assert_eq!(directories(&format!("/does/not/exist:{here}"), false).unwrap().len(), 2);
        assert_eq!(directories("/does/not/exist", false), Err("where no directory exists".to_owned()));
    }
}
