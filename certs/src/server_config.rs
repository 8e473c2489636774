//! TLS configuration of the webhook server.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::ring,
    server::NoServerSessionStorage,
    version::{TLS12, TLS13},
};

use crate::{client_ca::ClientVerifier, resolver::Resolver};

/// The TLS configuration cannot be built. Permanent.
#[derive(Debug, thiserror::Error)]
pub enum ServerConfigError {
    /// The crypto provider does not support the TLS versions.
    #[error("TLS 1.2 and 1.3 cannot be offered: {0}")]
    Versions(#[from] rustls::Error),
}

/// Builds a configuration for TLS 1.2 and 1.3 on ring, with ALPN `h2` and `http/1.1` and the resolver's certificate. With
/// a client verifier, the handshake fails for clients without an accepted certificate.
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
    // Session resumption is off: it would skip client verification after a client CA was removed. The API server does
    // not resume sessions anyway.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
