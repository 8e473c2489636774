//! Issues CA and serving certificates.

use std::{fmt, net::IpAddr, time::Duration};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};

/// `notBefore` is set this far in the past, because the API server's clock may be behind.
pub(crate) const BACKDATED: Duration = Duration::from_mins(5);

/// A certificate cannot be issued. Permanent: a retry gives the same result.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A key or certificate cannot be generated, or a stored one cannot be parsed.
    #[error("cannot issue a certificate: {0}")]
    Rcgen(#[from] rcgen::Error),
    /// The stored key does not match the CA certificate.
    #[error("the key does not match the CA certificate")]
    KeyMismatch,
    /// The name cannot be a subject alternative name.
    #[error("cannot issue a certificate for the name {name}; DNS names and IP addresses are accepted")]
    Name {
        /// The name.
        name: String,
    },
    /// The validity period cannot be expressed in a certificate.
    #[error("cannot issue a certificate at {now} for {lifetime:?}; it must begin after 1970 and end before 9999")]
    Time {
        /// Start of the validity period.
        now: Timestamp,
        /// Requested lifetime.
        lifetime: Duration,
    },
}

/// A CA with its private key (ECDSA P-256), path length 0. `Debug` does not print the key.
pub struct SigningCa {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// An issued certificate with its private key, PEM. `Debug` does not print the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, without its CA: clients have that in their caBundle.
    pub certificate: String,
    /// Private key, PKCS#8.
    pub key: String,
}

impl SigningCa {
    /// Generates a CA with this common name. `notBefore` is five minutes before `now`, `notAfter` is `now + lifetime`.
    pub fn new(common_name: &str, now: Timestamp, lifetime: Duration) -> Result<Self, IssueError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = params(common_name, now, lifetime)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Loads a CA from its certificate and key, PEM.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, IssueError> {
        let key = KeyPair::from_pem(key)?;
        let unreadable = || IssueError::Rcgen(rcgen::Error::CouldNotParseCertificate);
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| unreadable())?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|_| unreadable())?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(IssueError::KeyMismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Self { certificate: certificate.to_owned(), issuer })
    }

    /// CA certificate, PEM, as a caBundle holds it.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// CA private key, PEM. Only for the Secret that stores it.
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Issues a serving certificate with a new key for these names. Validity as in [`SigningCa::new`].
    pub fn issue(&self, names: &[ServerName<'_>], now: Timestamp, lifetime: Duration) -> Result<Issued, IssueError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        // Clients ignore the common name, but an empty subject would make the SAN extension critical.
        let mut params = params("coder-logstream-kube", now, lifetime)?;
        params.subject_alt_names = names.iter().map(subject_alt_name).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate, key: key.serialize_pem() })
    }
}

fn params(common_name: &str, now: Timestamp, lifetime: Duration) -> Result<CertificateParams, IssueError> {
    let since_1970 = u64::try_from(now.as_second()).map(Duration::from_secs);
    let (Ok(since_1970), Ok(_)) = (since_1970, now.checked_add(lifetime)) else {
        return Err(IssueError::Time { now, lifetime });
    };
    let epoch = date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = epoch + since_1970.saturating_sub(BACKDATED);
    params.not_after = epoch + since_1970 + lifetime;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    Ok(params)
}

fn subject_alt_name(name: &ServerName<'_>) -> Result<SanType, IssueError> {
    let unusable = || IssueError::Name { name: name.to_str().into_owned() };
    match name {
        ServerName::DnsName(dns) => dns.as_ref().try_into().map(SanType::DnsName).map_err(|_| unusable()),
        ServerName::IpAddress(address) => Ok(SanType::IpAddress(IpAddr::from(*address))),
        _ => Err(unusable()),
    }
}

impl fmt::Debug for SigningCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningCa").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}
