//! Verification of server certificates, as Go does it.

use std::{collections::HashSet, fmt, sync::Arc};

use jiff::Timestamp;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use sha2::{Digest, Sha256};

use crate::ca::CaCertificate;

/// Accepts certificates that webpki accepts, and also a server certificate that is itself one of the trusted roots.
///
/// `openssl req -x509` creates such a certificate, which is its own CA. Go and OpenSSL accept it from a server if it is
/// among the roots; webpki rejects any CA certificate as a server certificate. Name and validity period are checked, and
/// the handshake proves possession of the key.
pub struct ServerVerifier {
    webpki: Arc<WebPkiServerVerifier>,
    /// Fingerprints of the roots: the certificates themselves would take 160 KB.
    roots: HashSet<Fingerprint>,
}

/// SHA-256 of a certificate.
type Fingerprint = [u8; 32];

fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    Sha256::digest(certificate).into()
}

/// The roots cannot be used. Permanent.
#[derive(Debug, thiserror::Error)]
#[error("no CA certificate was found to verify the server certificate")]
pub struct NoRoots;

impl ServerVerifier {
    /// Creates a verifier with these roots. Certificates that cannot be parsed are skipped.
    ///
    /// # Errors
    /// If none is left.
    pub fn new(roots: Vec<CertificateDer<'static>>) -> Result<Arc<Self>, NoRoots> {
        let mut store = RootCertStore::empty();
        let fingerprints = roots.iter().map(fingerprint).collect();
        store.add_parsable_certificates(roots);
        let provider = Arc::new(ring::default_provider());
        let webpki =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build().map_err(|_| NoRoots)?;
        Ok(Arc::new(Self { webpki, roots: fingerprints }))
    }
}

impl fmt::Debug for ServerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerVerifier").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        if verified.is_err() && self.roots.contains(&fingerprint(end_entity)) {
            verify_root(end_entity, server_name, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Checks a server certificate that is one of the roots.
fn verify_root(certificate: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    let parsed = CaCertificate::read(certificate.clone().into_owned()).ok_or(CertificateError::BadEncoding)?;
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let now = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    if now < parsed.not_before() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > parsed.not_after() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn self_signed(ca: bool) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["coder.example.com".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        if ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn at(text: &str) -> UnixTime {
        let at: Timestamp = text.parse().unwrap();
        UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.as_second()).unwrap()))
    }

    fn verify(root: &CertificateDer<'static>, served: &CertificateDer<'_>, name: &str, now: &str) -> Result<(), Error> {
        let verifier = ServerVerifier::new(vec![root.clone()]).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(served, &[], &name, &[], at(now)).map(drop)
    }

    #[test]
    fn a_root_is_trusted_when_served_as_it_is() {
        for ca in [true, false] {
            let own = self_signed(ca);
            assert_eq!(verify(&own, &own, "coder.example.com", "2026-06-01T00:00:00Z"), Ok(()), "CA: {ca}");
        }
    }

    #[test]
    fn its_name_and_dates_are_checked() {
        let own = self_signed(true);
        let wrong_name = verify(&own, &own, "other.example.com", "2026-06-01T00:00:00Z").unwrap_err();
        assert!(wrong_name.to_string().contains("coder.example.com"), "{wrong_name}");
        let expired = verify(&own, &own, "coder.example.com", "2027-06-01T00:00:00Z");
        assert_eq!(expired, Err(CertificateError::Expired.into()));
        let early = verify(&own, &own, "coder.example.com", "2025-06-01T00:00:00Z");
        assert_eq!(early, Err(CertificateError::NotValidYet.into()));
    }

    #[test]
    fn another_self_signed_certificate_of_the_name_is_not_trusted() {
        let (own, other) = (self_signed(true), self_signed(true));
        assert!(verify(&own, &other, "coder.example.com", "2026-06-01T00:00:00Z").is_err());
    }

    #[test]
    fn a_certificate_issued_by_a_root_is_trusted() {
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        let ca = crate::issue::SigningCa::new("ca", now, DAY).unwrap();
        let name = ServerName::try_from("coder.example.com").unwrap();
        let issued = ca.issue(&[name], now, DAY).unwrap();
        let der = |pem: &str| {
            use rustls::pki_types::pem::PemObject as _;
            CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
        };
        let (root, served) = (der(ca.certificate()), der(&issued.certificate));
        assert_eq!(verify(&root, &served, "coder.example.com", "2026-06-01T01:00:00Z"), Ok(()));
    }

    #[test]
    fn no_roots_are_an_error() {
        assert!(ServerVerifier::new(Vec::new()).is_err());
        assert!(ServerVerifier::new(vec![CertificateDer::from(vec![1, 2, 3])]).is_err());
    }
}
