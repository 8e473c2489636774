//! A validated certificate chain with its private key.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use rustls::{
    RootCertStore,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    crypto::ring::{self, sign::any_supported_type},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use sha2::{Digest as _, Sha256};
use x509_parser::{extensions::GeneralName, prelude::X509Certificate};

use crate::{ca::CaCertificate, hex, labels::Refused};

/// A certificate chain, serving certificate first, with its private key. `Debug` does not print the key.
#[derive(Clone)]
pub struct Bundle {
    certified: Arc<CertifiedKey>,
    serial: String,
    fingerprint: String,
    not_before: Timestamp,
    not_after: Timestamp,
    covered: Vec<String>,
}

/// The chain or key cannot be served; keep the previous bundle. Permanent until the files change, except for
/// [`BundleError::NotYetValid`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The chain is not PEM or holds no certificate.
    #[error("the certificate chain holds no certificate; it must be PEM, the serving certificate first")]
    NoCertificate,
    /// A certificate of the chain cannot be parsed.
    #[error("certificate {position} of the chain is not an X.509 version 3 certificate")]
    NotACertificate {
        /// Position, starting at 1 (the serving certificate).
        position: usize,
    },
    /// The key file holds no PEM private key.
    #[error("the key file holds no private key; it must be PEM: PKCS#8, PKCS#1 or SEC1, without a passphrase")]
    NoKey,
    /// The key type is not supported.
    #[error(
        "the type of the private key is not supported; use RSA of 2048 to 8192 bits, ECDSA on P-256 or P-384, or Ed25519"
    )]
    UnsupportedKey,
    /// The key does not match the serving certificate.
    #[error("the private key does not belong to the first certificate of the chain, serial {serial}")]
    KeyMismatch {
        /// Serial number.
        serial: String,
    },
    /// The serving certificate has expired.
    #[error("the certificate with serial {serial} expired at {not_after}")]
    Expired {
        /// Serial number.
        serial: String,
        /// End of validity.
        not_after: Timestamp,
    },
    /// The serving certificate is not valid yet.
    #[error("the certificate with serial {serial} is not valid before {not_before}")]
    NotYetValid {
        /// Serial number.
        serial: String,
        /// Start of validity.
        not_before: Timestamp,
    },
    /// No certificate of the chain issued the serving certificate.
    #[error(
        "no certificate that follows in the chain issued the one with serial {serial} and is valid now; its issuer must be among them"
    )]
    Chain {
        /// Serial number.
        serial: String,
    },
    /// The serving certificate lacks the server authentication usage.
    #[error(
        "the certificate with serial {serial} may not be used by a server; its extended key usage must include serverAuth, or be absent"
    )]
    NotForServers {
        /// Serial number.
        serial: String,
    },
    /// The serving certificate does not cover a name the API server uses.
    #[error(
        "the certificate with serial {serial} does not cover the name {name}; its subject alternative names are: {covered}"
    )]
    Name {
        /// Serial number.
        serial: String,
        /// Required name.
        name: String,
        /// Names it covers, comma-separated.
        covered: String,
    },
    /// The serving certificate has no subject alternative name; the API server ignores the common name.
    #[error(
        "the certificate with serial {serial} has no subject alternative name; a common name alone is not accepted"
    )]
    NoNames {
        /// Serial number.
        serial: String,
    },
}

impl BundleError {
    /// Metric label of this error.
    pub fn refused(&self) -> Refused {
        match self {
            Self::NoCertificate | Self::NotACertificate { .. } | Self::NoKey | Self::UnsupportedKey => {
                Refused::Malformed
            }
            Self::KeyMismatch { .. } => Refused::KeyMismatch,
            Self::Expired { .. } => Refused::Expired,
            Self::NotYetValid { .. } => Refused::NotYetValid,
            Self::Chain { .. } => Refused::Issuer,
            Self::NotForServers { .. } | Self::Name { .. } | Self::NoNames { .. } => Refused::Name,
        }
    }
}

impl Bundle {
    /// Parses a PEM chain and key, and validates them for the current time and these names.
    ///
    /// The chain may hold intermediates and the root in any order; one of them must have issued the serving certificate
    /// (an old intermediate next to a new certificate is a common mistake). No error contains key material.
    pub fn parse(chain: &[u8], key: &[u8], names: &[ServerName<'_>], now: Timestamp) -> Result<Self, BundleError> {
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|_| BundleError::NoCertificate)?;
        let facts = Facts::of(&chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| BundleError::NoKey)?;
        let key = any_supported_type(&key).map_err(|_| BundleError::UnsupportedKey)?;
        let certified = CertifiedKey::new(chain, key);
        let Facts { serial, fingerprint, not_before, not_after, covered, for_servers } = facts;
        if certified.keys_match().is_err() {
            return Err(BundleError::KeyMismatch { serial });
        }
        let bundle = Self { certified: Arc::new(certified), serial, fingerprint, not_before, not_after, covered };
        bundle.check_time(now)?;
        let serial = || bundle.serial.clone();
        if !for_servers {
            return Err(BundleError::NotForServers { serial: serial() });
        }
        if bundle.covered.is_empty() {
            return Err(BundleError::NoNames { serial: serial() });
        }
        names.iter().try_for_each(|name| bundle.check_name(name))?;
        let issuers: Vec<_> =
            bundle.intermediates().iter().filter_map(|der| CaCertificate::read(der.clone())).collect();
        if !issuers.is_empty() && !bundle.is_trusted_by(&issuers, now) {
            return Err(BundleError::Chain { serial: serial() });
        }
        Ok(bundle)
    }

    /// Checks that the serving certificate covers a name.
    pub fn check_name(&self, name: &ServerName<'_>) -> Result<(), BundleError> {
        let leaf =
            ParsedCertificate::try_from(self.leaf()?).map_err(|_| BundleError::NotACertificate { position: 1 })?;
        verify_server_name(&leaf, name).map_err(|_| {
            let (name, covered) = (name.to_str().into_owned(), self.covered.join(", "));
            BundleError::Name { serial: self.serial.clone(), name, covered }
        })
    }

    /// Names covered by the serving certificate.
    pub fn covered(&self) -> &[String] {
        &self.covered
    }

    /// True if a client with these trust anchors accepts the certificate. Names are not checked.
    ///
    /// Like Go's verifier, accepts a serving certificate that is itself a trust anchor.
    pub fn is_trusted_by<'a>(&self, cas: impl IntoIterator<Item = &'a CaCertificate>, now: Timestamp) -> bool {
        let Ok(der) = self.leaf() else { return false };
        // Exact, where webpki rounds to seconds.
        if self.check_time(now).is_err() {
            return false;
        }
        let mut roots = RootCertStore::empty();
        // Clients reject an expired trust anchor; webpki does not check it.
        let valid = |ca: &&CaCertificate| ca.not_before() <= now && now <= ca.not_after();
        for ca in cas.into_iter().filter(valid) {
            if ca.der() == der {
                return true;
            }
            // Skip certificates that cannot be a trust anchor.
            let _ = roots.add(ca.der().clone());
        }
        let (Ok(leaf), Ok(since_1970)) = (ParsedCertificate::try_from(der), u64::try_from(now.as_second())) else {
            return false;
        };
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(since_1970));
        verify_server_cert_signed_by_trust_anchor(&leaf, &roots, self.intermediates(), now, algorithms.all).is_ok()
    }

    fn intermediates(&self) -> &[CertificateDer<'static>] {
        self.certified.cert.get(1..).unwrap_or_default()
    }

    fn leaf(&self) -> Result<&CertificateDer<'static>, BundleError> {
        self.certified.cert.first().ok_or(BundleError::NoCertificate)
    }

    /// Checks the validity period.
    pub fn check_time(&self, now: Timestamp) -> Result<(), BundleError> {
        let Self { serial, not_before, not_after, .. } = self;
        if now > *not_after {
            return Err(BundleError::Expired { serial: serial.clone(), not_after: *not_after });
        }
        if now < *not_before {
            return Err(BundleError::NotYetValid { serial: serial.clone(), not_before: *not_before });
        }
        Ok(())
    }

    /// Start of validity, in whole seconds.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// End of validity, in whole seconds.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Serial number of the serving certificate, hexadecimal bytes separated by colons.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// SHA-256 of the serving certificate, hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Number of certificates in the chain.
    pub fn chain_len(&self) -> usize {
        self.certified.cert.len()
    }

    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { certified: _, serial, fingerprint, not_before, not_after, covered } = self;
        f.debug_struct("Bundle")
            .field("serial", serial)
            .field("fingerprint", fingerprint)
            .field("not_before", not_before)
            .field("not_after", not_after)
            .field("covered", covered)
            .finish_non_exhaustive()
    }
}

/// Parsed fields of the serving certificate.
struct Facts {
    serial: String,
    fingerprint: String,
    not_before: Timestamp,
    not_after: Timestamp,
    covered: Vec<String>,
    for_servers: bool,
}

impl Facts {
    fn of(chain: &[CertificateDer<'_>]) -> Result<Self, BundleError> {
        for (index, certificate) in chain.iter().enumerate() {
            if read(certificate).is_none() {
                return Err(BundleError::NotACertificate { position: index + 1 });
            }
        }
        let der = chain.first().ok_or(BundleError::NoCertificate)?;
        let unreadable = || BundleError::NotACertificate { position: 1 };
        let leaf = read(der).ok_or_else(unreadable)?;
        let at = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).map_err(|_| unreadable());
        let names = leaf.subject_alternative_name().map_err(|_| unreadable())?;
        let usage = leaf.extended_key_usage().map_err(|_| unreadable())?;
        Ok(Self {
            serial: leaf.raw_serial_as_string(),
            fingerprint: hex::encode(&Sha256::digest(der)),
            not_before: at(leaf.validity().not_before)?,
            not_after: at(leaf.validity().not_after)?,
            covered: names.map(|names| names.value.general_names.iter().filter_map(name).collect()).unwrap_or_default(),
            for_servers: usage.is_none_or(|usage| usage.value.any || usage.value.server_auth),
        })
    }
}

/// Parses an X.509 v3 certificate without trailing data.
fn read<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (rest, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    (rest.is_empty() && certificate.version() == x509_parser::x509::X509Version::V3).then_some(certificate)
}

/// A DNS name or IP address of a subject alternative name.
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
        },
        _ => None,
    }
}
