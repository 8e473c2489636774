//! TLS handshakes with the webhook, as the API server makes them.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use logstream_certs::{CaBundle, CaCertificate, ServerVerifier};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

/// Time limit of a connection. A healthy one in a cluster takes milliseconds.
const CONNECT: Duration = Duration::from_secs(3);
/// Time limit of a handshake. A healthy one takes milliseconds too.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The handshake did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HandshakeError {
    /// The address cannot be reached.
    #[error("no connection to {address}: {reason}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The error.
        reason: String,
    },
    /// The certificate is rejected.
    #[error("{address}: {reason}")]
    Rejected {
        /// Host and port.
        address: String,
        /// The reason.
        reason: String,
    },
    /// TLS failed for another reason.
    #[error("{address}: {reason}")]
    Failed {
        /// Host and port.
        address: String,
        /// The error.
        reason: String,
    },
}

/// Connects to `address` (host and port), verifies the certificate with a caBundle, and returns its expiry.
pub(super) async fn handshake(
    address: &str,
    name: ServerName<'static>,
    bundle: &CaBundle,
) -> Result<Timestamp, HandshakeError> {
    let address = || address.to_owned();
    let roots = bundle.certificates().iter().map(|ca| ca.der().clone()).collect();
    let rejected = |reason: String| HandshakeError::Rejected { address: address(), reason };
    let failed = |reason: String| HandshakeError::Failed { address: address(), reason };
    let verifier = ServerVerifier::new(roots).map_err(|_| rejected("the caBundle has no usable certificate".into()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let unreachable = |reason: String| HandshakeError::Unreachable { address: address(), reason };
    let stream = match timeout(CONNECT, TcpStream::connect(address())).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable(format!("no answer within {} s", CONNECT.as_secs()))),
    };
    let stream = match timeout(HANDSHAKE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
            return Err(match tls {
                Some(rustls::Error::InvalidCertificate(reason)) => rejected(in_words(reason)),
                _ => failed(error.to_string()),
            });
        }
        Err(_) => return Err(failed(format!("no TLS handshake within {} s", HANDSHAKE.as_secs()))),
    };
    let served = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let served = served.and_then(|der| CaCertificate::read(der.clone().into_owned()));
    served.map(|certificate| certificate.not_after()).ok_or_else(|| failed("no certificate was served".to_owned()))
}

/// Describes the reason why a certificate is rejected.
pub(super) fn in_words(reason: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Reason;
    match reason {
        // The latter occurs if another CA of the same name is trusted.
        Reason::UnknownIssuer | Reason::BadSignature => "its certificate is not issued by a trusted CA".to_owned(),
        Reason::Expired | Reason::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        Reason::NotValidYet | Reason::NotValidYetContext { .. } => "its certificate is not valid yet".to_owned(),
        Reason::NotValidForName => "its certificate does not cover the name".to_owned(),
        Reason::NotValidForNameContext { expected, presented } => {
            let presented = if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") };
            format!("its certificate covers {presented}, not {}", expected.to_str())
        }
        other => format!("its certificate is rejected: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use logstream_certs::issue::SigningCa;
    use rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    };
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn now() -> Timestamp {
        crate::runtime::Clock::now(&crate::runtime::SystemClock)
    }

    /// Serves one handshake with a certificate for this name, issued at this time, and returns its address and CA.
    async fn serve(name: &'static str, issued: Timestamp) -> (String, CaBundle) {
        let ca = SigningCa::new("ca", issued, HOUR).unwrap();
        let certificate = ca.issue(&[ServerName::try_from(name).unwrap()], issued, HOUR).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        #[expect(clippy::disallowed_methods, reason = "a server for one test")]
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
        });
        (address, CaBundle::parse(ca.certificate().as_bytes()))
    }

    async fn reason(address: &str, name: &'static str, bundle: &CaBundle) -> String {
        let name = ServerName::try_from(name).unwrap();
        handshake(address, name, bundle).await.map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
    }

    #[tokio::test]
    async fn a_certificate_of_the_bundle_is_accepted() {
        let (address, bundle) = serve("logs.coder.svc", now()).await;
        assert_eq!(reason(&address, "logs.coder.svc", &bundle).await, "accepted");
    }

    #[tokio::test]
    async fn another_ca_another_name_and_an_old_certificate_are_named() {
        let (address, _) = serve("logs.coder.svc", now()).await;
        let (_, other) = serve("logs.coder.svc", now()).await;
        assert!(reason(&address, "logs.coder.svc", &other).await.contains("not issued by a trusted CA"));
        let (address, bundle) = serve("other.coder.svc", now()).await;
        let covers = reason(&address, "logs.coder.svc", &bundle).await;
        assert!(covers.contains("other.coder.svc") && covers.contains("not logs.coder.svc"), "{covers}");
        let (address, bundle) = serve("logs.coder.svc", now() - 3 * HOUR).await;
        assert!(reason(&address, "logs.coder.svc", &bundle).await.contains("has expired"));
        assert!(reason(&address, "logs.coder.svc", &CaBundle::default()).await.contains("no usable certificate"));
    }

    #[tokio::test]
    async fn an_address_without_a_server_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let ca = SigningCa::new("ca", now(), HOUR).unwrap();
        let bundle = CaBundle::parse(ca.certificate().as_bytes());
        let error = handshake(&address, ServerName::try_from("x").unwrap(), &bundle).await.unwrap_err();
        assert!(matches!(error, HandshakeError::Unreachable { .. }), "{error}");
    }
}
