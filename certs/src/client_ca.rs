//! Verification of client certificates.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime, pem::PemObject as _},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

/// CAs whose client certificates are accepted. With the API server's CA only the API server can send reviews.
#[derive(Debug, Clone)]
pub struct ClientCa {
    verifier: Arc<dyn ClientCertVerifier>,
}

/// The text is not a client CA bundle. Permanent until the content changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientCaError {
    /// It holds no certificate.
    #[error("the client CA holds no certificate; it must be PEM, one or more certificates")]
    NoCertificate,
    /// A certificate in it is not a CA certificate.
    #[error("certificate {position} of the client CA is not a CA certificate")]
    NotACertificate {
        /// Position, starting at 1.
        position: usize,
    },
}

impl ClientCa {
    /// Parses one or more PEM certificates.
    pub fn parse(pem: &[u8]) -> Result<Self, ClientCaError> {
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| ClientCaError::NoCertificate)?;
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.into_iter().enumerate() {
            roots.add(certificate).map_err(|_| ClientCaError::NotACertificate { position: index + 1 })?;
        }
        let provider = Arc::new(ring::default_provider());
        // The builder fails only for an empty root store.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        Ok(Self { verifier: verifier.map_err(|_| ClientCaError::NoCertificate)? })
    }
}

/// Accepts client certificates of the current CAs, which can be replaced at run time.
///
/// Established connections are not verified again; they end by the peer or the idle timeout.
#[derive(Debug)]
pub struct ClientVerifier {
    current: ArcSwap<ClientCa>,
}

impl ClientVerifier {
    /// Creates a verifier for these CAs.
    pub fn new(cas: ClientCa) -> Self {
        Self { current: ArcSwap::from_pointee(cas) }
    }

    /// Replaces the accepted CAs, effective from the next handshake.
    pub fn accept(&self, cas: ClientCa) {
        self.current.store(Arc::new(cas));
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Hints are optional. They are borrowed for the lifetime of the verifier, so CAs that change cannot be hinted. A
        // client with one certificate, such as the API server, sends it without a hint.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.current.load().verifier.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current.load().verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current.load().verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().verifier.supported_verify_schemes()
    }
}
