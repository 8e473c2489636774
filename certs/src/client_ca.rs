//! Whose client certificates are accepted.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// The authorities whose client certificates let a peer in: the API server's, so that nobody else can forge a review.
#[derive(Debug, Clone)]
pub struct ClientCa {
    pub(crate) roots: Arc<RootCertStore>,
}

/// Why a file is no client CA. Permanent: the file must be corrected.
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
        if certificates.is_empty() {
            return Err(ClientCaError::NoCertificate);
        }
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.into_iter().enumerate() {
            roots.add(certificate).map_err(|_| ClientCaError::NotACertificate { position: index + 1 })?;
        }
        Ok(Self { roots: Arc::new(roots) })
    }
}
