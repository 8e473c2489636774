//! TLS configuration of the client for Coder.

use logstream_certs::ServerVerifier;
use reqwest::Url;
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};

use super::client::ConfigError;

/// Creates a configuration with the process's crypto provider. The roots are those of `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` if set, else the system's, read once. Without any root, no server is trusted. This is an error unless
/// Coder is reached over plain HTTP, for which an image without CA certificates is sufficient.
pub(super) fn config(url: &Url) -> Result<ClientConfig, ConfigError> {
    let provider = CryptoProvider::get_default().ok_or(ConfigError::NoProvider)?.clone();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::Client(error.to_string().into()))?;
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "cannot read CA certificates");
    }
    let mut config = match ServerVerifier::new(found.certs) {
        Ok(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth(),
        Err(_) if url.scheme() == "http" => {
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
        Err(error) => return Err(ConfigError::Client(error.to_string().into())),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
