//! TLS as the webhook speaks it.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::ring,
    server::NoServerSessionStorage,
    version::{TLS12, TLS13},
};

use crate::{client_ca::ClientVerifier, resolver::Resolver};

/// Why there is no TLS configuration. Permanent: give up, and say so.
#[derive(Debug, thiserror::Error)]
pub enum ServerConfigError {
    /// The provider and the versions do not fit.
    #[error("TLS 1.2 and 1.3 cannot be offered: {0}")]
    Versions(#[from] rustls::Error),
}

/// TLS 1.2 and 1.3 with ring, h2 and HTTP/1.1 by ALPN, and the resolver's certificate. With a verifier of clients a peer
/// without a certificate that it accepts is turned away in the handshake.
pub fn server_config(
    resolver: Arc<Resolver>,
    clients: Option<Arc<ClientVerifier>>,
) -> Result<ServerConfig, ServerConfigError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(clients),
    };
    let mut config = builder.with_cert_resolver(resolver);
    // No session is resumed: that would skip the look at a client's certificate, whose authority may be gone since. The
    // API server keeps none anyway.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
