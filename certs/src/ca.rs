//! CA certificates and caBundles.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};

use crate::hex;

/// Identifies a CA certificate by its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaId(pub(crate) [u8; 32]);

/// A trusted certificate of a caBundle. The basic constraints are not checked, because clients do not check them on a
/// trust anchor either.
#[derive(Clone, PartialEq, Eq)]
pub struct CaCertificate {
    der: Arc<CertificateDer<'static>>,
    id: CaId,
    common_name: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// The certificates of a caBundle in their order, without duplicates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaBundle {
    certificates: Vec<CaCertificate>,
}

impl CaCertificate {
    /// Parses DER; `None` if it is not a certificate.
    pub fn read(der: CertificateDer<'static>) -> Option<Self> {
        let (rest, parsed) = x509_parser::parse_x509_certificate(&der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let at = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
        let common_name = parsed.subject().iter_common_name().find_map(|name| name.as_str().ok());
        let (common_name, id) = (common_name.unwrap_or_default().to_owned(), CaId(Sha256::digest(&der).into()));
        let (not_before, not_after) = (at(parsed.validity().not_before)?, at(parsed.validity().not_after)?);
        Some(Self { der: Arc::new(der), id, common_name, not_before, not_after })
    }

    /// SHA-256 of the certificate.
    pub fn id(&self) -> CaId {
        self.id
    }

    /// Common name of the subject; empty if there is none.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// Start of validity.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// End of validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// PEM encoding with a trailing newline.
    pub fn pem(&self) -> String {
        let text = STANDARD.encode(self.der.as_ref());
        let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
        format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
    }

    /// DER encoding.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }
}

impl CaBundle {
    /// Parses PEM. Skips anything that is not a certificate, as the API server does.
    pub fn parse(pem: &[u8]) -> Self {
        let mut bundle = Self::default();
        for item in CertificateDer::pem_slice_iter(pem) {
            let read = item.ok().and_then(CaCertificate::read);
            let known = |new: &CaCertificate| bundle.certificates.iter().any(|old| old.id == new.id);
            if let Some(new) = read.filter(|new| !known(new)) {
                bundle.certificates.push(new);
            }
        }
        bundle
    }

    /// The certificates in order.
    pub fn certificates(&self) -> &[CaCertificate] {
        &self.certificates
    }
}

impl fmt::Debug for CaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Display for CaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for CaCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaCertificate")
            .field("id", &self.id)
            .field("common_name", &self.common_name)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::issue::SigningCa;

    fn ca(name: &str) -> SigningCa {
        SigningCa::new(name, "2026-11-01T00:00:00Z".parse().unwrap(), Duration::from_hours(1)).unwrap()
    }

    #[test]
    fn a_certificate_survives_being_written_and_read_again() {
        let ca = ca("one");
        let first = CaBundle::parse(ca.certificate().as_bytes());
        let [certificate] = first.certificates() else { panic!("{first:?}") };
        assert_eq!(certificate.common_name(), "one");
        assert_eq!(certificate.not_after(), "2026-11-01T01:00:00Z".parse().unwrap());
        assert_eq!(CaBundle::parse(certificate.pem().as_bytes()), first);
    }

    #[test]
    fn duplicates_are_merged_and_other_blocks_left_out() {
        let (one, other) = (ca("one"), ca("other"));
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = [one.certificate(), junk, one.certificate(), other.certificate()].concat();
        let bundle = CaBundle::parse(text.as_bytes());
        let names: Vec<_> = bundle.certificates().iter().map(CaCertificate::common_name).collect();
        assert_eq!(names, ["one", "other"]);
        assert_eq!(CaBundle::parse(b"\n"), CaBundle::default());
    }
}
