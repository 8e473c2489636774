//! A certificate chain with its key, checked before it is served.

use std::{fmt, fmt::Write as _, net::IpAddr, sync::Arc, time::Duration};

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

use crate::{ca::CaCertificate, metrics::Refused};

/// A certificate chain, the leaf first, and the leaf's private key. `Debug` shows no key.
#[derive(Clone)]
pub struct Bundle {
    certified: Arc<CertifiedKey>,
    serial: String,
    fingerprint: String,
    not_before: Timestamp,
    not_after: Timestamp,
    covered: Vec<String>,
}

/// Why a chain and a key are no bundle to serve. The previous one is to be kept; each of these lasts until the files
/// change, but for [`BundleError::NotYetValid`], which time heals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The chain is not PEM, or holds no certificate.
    #[error("the certificate chain holds no certificate; it must be PEM, the leaf first")]
    NoCertificate,
    /// A certificate of the chain cannot be read.
    #[error("certificate {position} of the chain is no X.509 version 3 certificate")]
    NotACertificate {
        /// 1 is the leaf.
        position: usize,
    },
    /// The key is not PEM, or no key.
    #[error("the key file holds no private key; it must be PEM: PKCS#8, PKCS#1 or SEC1, without a passphrase")]
    NoKey,
    /// The key is of a kind that is not supported.
    #[error(
        "the private key is of a kind that cannot be served; RSA of 2048 to 8192 bits, ECDSA on P-256 or P-384, and Ed25519 can"
    )]
    UnsupportedKey,
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the first certificate of the chain, serial {serial}")]
    KeyMismatch {
        /// The leaf's.
        serial: String,
    },
    /// The leaf has expired.
    #[error("the certificate with serial {serial} expired at {not_after}")]
    Expired {
        /// The leaf's.
        serial: String,
        /// Its last moment.
        not_after: Timestamp,
    },
    /// The leaf is not valid yet.
    #[error("the certificate with serial {serial} is not valid before {not_before}")]
    NotYetValid {
        /// The leaf's.
        serial: String,
        /// Its first moment.
        not_before: Timestamp,
    },
    /// The chain does not hang together.
    #[error(
        "no certificate that follows in the chain issued the one with serial {serial} and is valid now; the leaf's own issuer must be among them"
    )]
    Chain {
        /// The leaf's.
        serial: String,
    },
    /// The leaf may be used for other things only.
    #[error(
        "the certificate with serial {serial} may not be used by a server; its extended key usage must have serverAuth, or be left out"
    )]
    NotForServers {
        /// The leaf's.
        serial: String,
    },
    /// The leaf does not cover a name by which the API server calls.
    #[error(
        "the certificate with serial {serial} does not cover the name {name}; its subject alternative names are: {covered}"
    )]
    Name {
        /// The leaf's.
        serial: String,
        /// What was expected.
        name: String,
        /// What it covers, by commas.
        covered: String,
    },
    /// The leaf has no subject alternative name; the API server does not look at the common name.
    #[error(
        "the certificate with serial {serial} has no subject alternative name; a common name alone is not accepted"
    )]
    NoNames {
        /// The leaf's.
        serial: String,
    },
}

impl BundleError {
    /// The class that it is counted under.
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
    /// Reads a chain and a key, both PEM, and checks that they can be served now and under these names.
    ///
    /// The chain may hold intermediates, in any order, and the root too; one of them must have issued the leaf: an old
    /// intermediate beside a new leaf is a common slip. No error holds a part of the key.
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

    /// Whether the leaf covers a name.
    pub fn check_name(&self, name: &ServerName<'_>) -> Result<(), BundleError> {
        let leaf =
            ParsedCertificate::try_from(self.leaf()?).map_err(|_| BundleError::NotACertificate { position: 1 })?;
        verify_server_name(&leaf, name).map_err(|_| {
            let (name, covered) = (name.to_str().into_owned(), self.covered.join(", "));
            BundleError::Name { serial: self.serial.clone(), name, covered }
        })
    }

    /// The names that the leaf covers.
    pub fn covered(&self) -> &[String] {
        &self.covered
    }

    /// Whether a client that trusts these authorities, and nothing else, trusts the leaf. Names are not looked at.
    ///
    /// As Go's verifier does, it takes a leaf that is itself among them.
    pub fn is_trusted_by<'a>(&self, authorities: impl IntoIterator<Item = &'a CaCertificate>, now: Timestamp) -> bool {
        let Ok(der) = self.leaf() else { return false };
        // To the moment, where webpki goes by whole seconds.
        if self.check_time(now).is_err() {
            return false;
        }
        let mut roots = RootCertStore::empty();
        // A client that finds an authority expired builds no chain on it; webpki would not look.
        let valid = |ca: &&CaCertificate| ca.not_before() <= now && now <= ca.not_after();
        for authority in authorities.into_iter().filter(valid) {
            if authority.der() == der {
                return true;
            }
            // One that cannot be an anchor verifies nothing.
            let _ = roots.add(authority.der().clone());
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

    /// Whether the leaf is valid at a time.
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

    /// The leaf's first moment, in whole seconds.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The leaf's last moment, in whole seconds.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The leaf's serial number, as bytes in hexadecimal with colons.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The SHA-256 of the leaf, in hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// How many certificates the chain has.
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

/// What a leaf says of itself.
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
            fingerprint: hexadecimal(&Sha256::digest(der)),
            not_before: at(leaf.validity().not_before)?,
            not_after: at(leaf.validity().not_after)?,
            covered: names.map(|names| names.value.general_names.iter().filter_map(name).collect()).unwrap_or_default(),
            for_servers: usage.is_none_or(|usage| usage.value.any || usage.value.server_auth),
        })
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A certificate of version 3, and nothing after it.
fn read<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (rest, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    (rest.is_empty() && certificate.version() == x509_parser::x509::X509Version::V3).then_some(certificate)
}

/// A name by which a server can be called.
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
