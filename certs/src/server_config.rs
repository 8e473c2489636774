//! TLS as the webhook speaks it.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::ring,
    server::{VerifierBuilderError, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};

use crate::{client_ca::ClientCa, resolver::Resolver};

/// Why there is no TLS configuration. Permanent: give up, and say so.
#[derive(Debug, thiserror::Error)]
pub enum ServerConfigError {
    /// The provider and the versions do not fit.
    #[error("TLS 1.2 and 1.3 cannot be offered: {0}")]
    Versions(#[from] rustls::Error),
    /// The client CA cannot be used.
    #[error("the client CA cannot be used to verify clients: {0}")]
    ClientCa(#[from] VerifierBuilderError),
}

/// TLS 1.2 and 1.3 with ring, h2 and HTTP/1.1 by ALPN, and the resolver's certificate. With a client CA a peer without
/// a certificate of it is turned away in the handshake.
pub fn server_config(resolver: Arc<Resolver>, client_ca: Option<ClientCa>) -> Result<ServerConfig, ServerConfigError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&[&TLS13, &TLS12])?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ClientCa { roots }) => {
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(roots, provider).build()?)
        }
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
