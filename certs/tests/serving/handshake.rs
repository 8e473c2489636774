//! Real TLS handshakes with the served certificate.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use logstream_certs::{
    Bundle, ClientCa, ClientCaError, ClientCaFile, ClientCaFileError, ClientVerifier, Ended, FileError, Metrics,
    Refused, Resolver,
    issue::{Issued, SigningCa},
    provided, serve_from, server_config,
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::common::{Mounted, NAME, ca, name, now, serving_cert};

const PATIENCE: Duration = Duration::from_secs(10);

fn bundle(issued: &Issued) -> Bundle {
    Bundle::parse(issued.certificate.as_bytes(), issued.key.as_bytes(), &[name(NAME)], now()).unwrap()
}

fn serving(issued: &Issued) -> Arc<Resolver> {
    let resolver = Arc::new(Resolver::new());
    resolver.serve(bundle(issued));
    resolver
}

/// Replaces a file atomically, so that a concurrent reader never sees half of the new content.
fn replace(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

/// A client that trusts a CA.
struct Client {
    trust: RootCertStore,
    versions: Vec<&'static SupportedProtocolVersion>,
    certificate: Option<Issued>,
}

impl Client {
    fn of(ca: &str) -> Self {
        let mut trust = RootCertStore::empty();
        trust.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
        Self { trust, versions: vec![&TLS13, &TLS12], certificate: None }
    }

    fn config(&self) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(self.trust.clone());
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some(Issued { certificate, key }) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    async fn connect(
        &self,
        resolver: &Arc<Resolver>,
        clients: Option<&Arc<ClientVerifier>>,
    ) -> io::Result<TlsStream<DuplexStream>> {
        let server = server_config(Arc::clone(resolver), clients.cloned()).unwrap();
        connect(&Arc::new(server), &Arc::new(self.config())).await
    }
}

/// Performs a handshake and echoes one byte: with TLS 1.3 a client learns only then whether it was accepted.
async fn connect(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> io::Result<TlsStream<DuplexStream>> {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let serve = async {
        let mut stream = TlsAcceptor::from(Arc::clone(server)).accept(far).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.flush().await
    };
    let call = async {
        let mut stream = TlsConnector::from(Arc::clone(client)).connect(name(NAME), near).await?;
        stream.write_u8(7).await?;
        stream.flush().await?;
        stream.read_u8().await?;
        io::Result::Ok(stream)
    };
    let (answered, called) =
        timeout(PATIENCE, async { tokio::join!(serve, call) }).await.expect("a handshake has an end");
    called.and_then(|stream| answered.map(|()| stream))
}

/// Issues a client certificate.
fn client_certificate(ca: &SigningCa) -> Issued {
    let issuer_key = KeyPair::from_pem(&ca.key()).unwrap();
    let issuer = Issuer::from_ca_cert_pem(ca.certificate(), issuer_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["kube-apiserver".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer).unwrap();
    Issued { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn client_ca(ca: &SigningCa) -> ClientCa {
    ClientCa::parse(ca.certificate().as_bytes()).unwrap()
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let ca = ca();
    let resolver = serving(&serving_cert(&ca));
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let client = Client { versions: vec![version], ..Client::of(ca.certificate()) };
        let stream = client.connect(&resolver, None).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    }
}

#[tokio::test]
async fn a_chain_with_an_intermediate_is_served_whole() {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::default();
    root.distinguished_name.push(rcgen::DnType::CommonName, "root");
    root.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let root = Issuer::new(root, root_key);
    let middle_key = KeyPair::generate().unwrap();
    let mut middle = CertificateParams::default();
    middle.distinguished_name.push(rcgen::DnType::CommonName, "intermediate");
    middle.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let middle_certificate = middle.signed_by(&middle_key, &root).unwrap();
    let middle = Issuer::new(middle, middle_key);
    let key = KeyPair::generate().unwrap();
    let serving_cert = CertificateParams::new([NAME.to_owned()]).unwrap().signed_by(&key, &middle).unwrap();

    let client = Client::of(&root_certificate.pem());
    let whole = Issued { certificate: serving_cert.pem() + &middle_certificate.pem(), key: key.serialize_pem() };
    client.connect(&serving(&whole), None).await.unwrap();
    let cut = Issued { certificate: serving_cert.pem(), ..whole };
    client.connect(&serving(&cut), None).await.unwrap_err();
}

#[tokio::test]
async fn a_handshake_before_the_first_bundle_fails() {
    let client = Client::of(ca().certificate());
    client.connect(&Arc::new(Resolver::new()), None).await.unwrap_err();
}

#[tokio::test]
async fn with_a_client_ca_only_its_clients_are_let_in() {
    let (servers, clients, others) = (ca(), ca(), ca());
    let resolver = serving(&serving_cert(&servers));
    let accepted = Arc::new(ClientVerifier::new(client_ca(&clients)));
    for versions in [vec![&TLS12], vec![&TLS13]] {
        let client =
            |certificate| Client { certificate, versions: versions.clone(), ..Client::of(servers.certificate()) };
        let known = client(Some(client_certificate(&clients)));
        known.connect(&resolver, Some(&accepted)).await.unwrap();
        client(None).connect(&resolver, Some(&accepted)).await.unwrap_err();
        let other = client(Some(client_certificate(&others)));
        other.connect(&resolver, Some(&accepted)).await.unwrap_err();
    }
}

#[tokio::test]
async fn who_was_let_in_once_is_looked_at_again_after_the_client_ca_was_replaced() {
    let (servers, clients) = (ca(), ca());
    let resolver = serving(&serving_cert(&servers));
    for versions in [vec![&TLS12], vec![&TLS13]] {
        let accepted = Arc::new(ClientVerifier::new(client_ca(&clients)));
        let server = Arc::new(server_config(Arc::clone(&resolver), Some(Arc::clone(&accepted))).unwrap());
        // A client configuration keeps its sessions, and would resume the last one.
        let certificate = Some(client_certificate(&clients));
        let client = Arc::new(Client { versions, certificate, ..Client::of(servers.certificate()) }.config());
        for _ in 0..2 {
            connect(&server, &client).await.unwrap();
        }
        accepted.accept(client_ca(&ca()));
        connect(&server, &client).await.unwrap_err();
        accepted.accept(client_ca(&clients));
        connect(&server, &client).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_ca_that_is_replaced_in_its_file_is_taken_up_and_a_bad_one_is_not() {
    let (servers, old, new) = (ca(), ca(), ca());
    let (resolver, metrics) = (serving(&serving_cert(&servers)), Metrics::new());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.crt");
    replace(&path, old.certificate());
    let file = ClientCaFile::open(path.clone(), metrics.clone()).await.unwrap();
    let accepted = file.verifier();
    let mut keeping = JoinSet::new();
    keeping.spawn(file.keep());

    let let_in = async |ca: &SigningCa| {
        let certificate = Some(client_certificate(ca));
        let client = Client { certificate, ..Client::of(servers.certificate()) };
        client.connect(&resolver, Some(&accepted)).await.is_ok()
    };
    let read_again = || tokio::time::sleep(2 * provided::INTERVAL);
    read_again().await;
    assert_eq!((let_in(&old).await, let_in(&new).await), (true, false));
    // Both CAs, as in any rotation, then only the new one.
    replace(&path, &(old.certificate().to_owned() + new.certificate()));
    read_again().await;
    assert_eq!((let_in(&old).await, let_in(&new).await), (true, true));
    replace(&path, new.certificate());
    read_again().await;
    assert_eq!((let_in(&old).await, let_in(&new).await), (false, true));
    assert_eq!(metrics.client_ca_changes(), 3);

    replace(&path, "invalid");
    read_again().await;
    fs::remove_file(&path).unwrap();
    read_again().await;
    assert_eq!((let_in(&old).await, let_in(&new).await), (false, true));
    let refused = [Refused::Malformed, Refused::Unreadable].map(|reason| metrics.client_ca_refused(reason));
    assert_eq!((refused, metrics.client_ca_changes()), ([1, 1], 3));
    replace(&path, old.certificate());
    read_again().await;
    assert_eq!((let_in(&old).await, let_in(&new).await), (true, false));
}

#[tokio::test]
async fn a_client_ca_that_is_not_there_at_the_beginning_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let open = async |name: &str| ClientCaFile::open(directory.path().join(name), Metrics::new()).await;
    let error = open("missing").await.err().unwrap();
    assert!(matches!(error, ClientCaFileError::File(FileError::Unreadable { .. })), "{error}");
    fs::write(directory.path().join("empty"), "").unwrap();
    let error = open("empty").await.err().unwrap();
    assert!(
        error
            .to_string()
            .ends_with("empty: the client CA holds no certificate; it must be PEM, one or more certificates")
    );
}

#[test]
fn a_client_ca_holds_certificates() {
    let clients = ca();
    let two = [clients.certificate(), ca().certificate()].concat();
    ClientCa::parse(two.as_bytes()).unwrap();
    assert_eq!(ClientCa::parse(b"").unwrap_err(), ClientCaError::NoCertificate);
    assert_eq!(ClientCa::parse(clients.key().as_bytes()).unwrap_err(), ClientCaError::NoCertificate);
    let broken = format!("{two}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_eq!(ClientCa::parse(broken.as_bytes()).unwrap_err(), ClientCaError::NotACertificate { position: 3 });
}

#[tokio::test(start_paused = true)]
async fn rotations_under_a_running_server_fail_no_handshake() {
    let (ca, metrics, resolver) = (ca(), Metrics::new(), Arc::new(Resolver::new()));
    let client = Client::of(ca.certificate());
    let mut mounted = Mounted::of(&serving_cert(&ca));
    let (stop, mut keeping) = (CancellationToken::new(), JoinSet::new());
    let source = mounted.source(&metrics);
    keeping.spawn(serve_from(Arc::clone(&resolver), source, metrics.clone(), stop.clone().cancelled_owned()));
    for rotation in 1..=5 {
        let wait = async {
            while metrics.changes() < rotation {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("the rotation is taken up");
        let current = resolver.current().unwrap();
        assert_eq!(metrics.expiry(), current.not_after().as_second());
        let stream = client.connect(&resolver, None).await.unwrap();
        let [seen] = stream.get_ref().1.peer_certificates().unwrap() else { panic!() };
        let issued = fs_certificate(&mounted);
        assert_eq!(seen, &issued, "rotation {rotation}");
        mounted.swap(&serving_cert(&ca));
    }
    stop.cancel();
    assert_eq!(keeping.join_next().await.unwrap().unwrap(), Ended::Shutdown);
}

fn fs_certificate(mounted: &Mounted) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(mounted.path().join("tls.crt")).unwrap()
}
