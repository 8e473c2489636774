//! Whose client certificates are accepted.

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

/// The authorities whose client certificates let a peer in: the API server's, so that nobody else can forge a review.
#[derive(Debug, Clone)]
pub struct ClientCa {
    verifier: Arc<dyn ClientCertVerifier>,
}

/// Why a text is no client CA. Permanent: it must be corrected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientCaError {
    /// Nothing of use in it.
    #[error("the client CA holds no certificate; it must be PEM, one or more certificates")]
    NoCertificate,
    /// Something in it is not what it should be.
    #[error("certificate {position} of the client CA is not a certificate of an authority")]
    NotACertificate {
        /// 1 is the first.
        position: usize,
    },
}

impl ClientCa {
    /// Reads one or more certificates, PEM.
    pub fn parse(pem: &[u8]) -> Result<Self, ClientCaError> {
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| ClientCaError::NoCertificate)?;
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.into_iter().enumerate() {
            roots.add(certificate).map_err(|_| ClientCaError::NotACertificate { position: index + 1 })?;
        }
        let provider = Arc::new(ring::default_provider());
        // All that it can object to is that there are none.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        Ok(Self { verifier: verifier.map_err(|_| ClientCaError::NoCertificate)? })
    }
}

/// Lets in whoever has a certificate of the authorities that are accepted now, which can be replaced while it is used.
///
/// A connection that stands is not looked at again: it ends when its peer, or an idle time, ends it.
#[derive(Debug)]
pub struct ClientVerifier {
    current: ArcSwap<ClientCa>,
}

impl ClientVerifier {
    /// Accepts these authorities.
    pub fn new(authorities: ClientCa) -> Self {
        Self { current: ArcSwap::from_pointee(authorities) }
    }

    /// Accepts these, and no others, from the next handshake on.
    pub fn accept(&self, authorities: ClientCa) {
        self.current.store(Arc::new(authorities));
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A hint may be left out, and must be where the authorities change: it is borrowed for as long as this lives. A
        // client with one certificate, as the API server is, sends it without any.
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
