//! The server over the network.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use logstream_core::resource::Kind;
use logstream_runtime::server::{self, HandshakeFailure, Limits, ServeError, Server};
use logstream_webhook::{Metrics, Outcome};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::common::{Answer, Captured, Webhook, fixture, post};

/// Maximum time that a test waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that runs until it is stopped.
struct Running {
    address: SocketAddr,
    trust: RootCertStore,
    metrics: Metrics,
    stop: CancellationToken,
    ended: JoinSet<Result<(), ServeError>>,
}

async fn serve(router: Router, metrics: Metrics, limits: Limits) -> Running {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut trust = RootCertStore::empty();
    trust.add(issued.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let mut tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let server = Server::new("webhook", router, metrics.connections.clone()).tls(Arc::new(tls)).limits(limits);
    let bound = server.bind("--webhook-addr", ([127, 0, 0, 1], 0).into()).await.unwrap();
    let (address, stop, mut ended) = (bound.local_addr(), CancellationToken::new(), JoinSet::new());
    ended.spawn(bound.run(stop.clone().cancelled_owned()));
    Running { address, trust, metrics, stop, ended }
}

impl Running {
    async fn connect(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.trust.clone())
            .with_no_client_auth();
        tls.alpn_protocols = vec![protocol.to_vec()];
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(tls)).connect(name, tcp).await.unwrap()
    }

    async fn stopped(mut self) -> Result<(), ServeError> {
        self.stop.cancel();
        timeout(PATIENCE, self.ended.join_next()).await.expect("the server ends").unwrap().unwrap()
    }
}

/// A client's end of one HTTP/1.1 connection.
async fn http1(stream: TlsStream<TcpStream>, tasks: &mut JoinSet<()>) -> hyper::client::conn::http1::SendRequest<Body> {
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tasks.spawn(async move { drop(connection.await) });
    sender
}

/// Waits until the peer closes the connection, and returns what it sent before.
async fn closed(mut stream: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
    let mut received = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("the peer closes");
    // A close without TLS's close_notify counts too.
    let _ = end;
    received
}

fn busy(notify: &Arc<Notify>, entered: &Arc<Notify>) -> Router {
    let (notify, entered) = (Arc::clone(notify), Arc::clone(entered));
    Router::new().route(
        "/busy",
        get(async move || {
            entered.notify_one();
            notify.notified().await;
            "done"
        }),
    )
}

#[tokio::test]
async fn reviews_are_answered_over_http1_and_h2_and_no_layer_traces_a_token() {
    let (captured, _guard) = Captured::start();
    let (webhook, mut tasks) = (Webhook::new(), JoinSet::new());
    let running = serve(webhook.router.clone(), webhook.metrics.clone(), Limits::default()).await;
    let review = fixture("pod");

    let mut sender = http1(running.connect(b"http/1.1").await, &mut tasks).await;
    for _ in 0..3 {
        let mut request = post(review.to_string());
        request.headers_mut().insert("host", "localhost".parse().unwrap());
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let answer = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(Answer(serde_json::from_slice(&answer).unwrap()).patch().is_some());
    }

    let stream = TokioIo::new(running.connect(b"h2").await);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tasks.spawn(async move { drop(connection.await) });
    for _ in 0..3 {
        let mut request = post(review.to_string());
        *request.uri_mut() = "https://localhost/mutate".parse().unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), StatusCode::OK);
    }

    assert_eq!(webhook.metrics.reviews(Some(Kind::Pod), Outcome::Patched), 6);
    assert_eq!(running.metrics.connections.open(), 2);
    let metrics = running.metrics.clone();
    running.stopped().await.unwrap();
    assert_eq!(metrics.connections.open(), 0);

    let traced = captured.text();
    for layer in ["h2::", "logstream_webhook::"] {
        assert!(traced.contains(layer), "{layer} traces nothing, so this proves nothing");
    }
    assert!(!traced.contains("4333-8444"), "a token was traced");
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_closed() {
    let limits = Limits { handshake: Duration::from_millis(50), ..Limits::default() };
    let running = serve(Router::new(), Metrics::new(), limits).await;
    let silent = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(closed(silent).await, b"");
    assert_eq!(running.metrics.connections.handshake_failures(HandshakeFailure::Deadline), 1);

    let mut plain = TcpStream::connect(running.address).await.unwrap();
    plain.write_all(b"GET /mutate HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    closed(plain).await;
    assert_eq!(running.metrics.connections.handshake_failures(HandshakeFailure::Tls), 1);
}

#[tokio::test]
async fn a_request_that_never_comes_or_never_comes_whole_is_closed() {
    let limits =
        Limits { first_request: Duration::from_millis(50), idle: Duration::from_millis(100), ..Limits::default() };
    let running = serve(Router::new().route("/", get(async || "ok")), Metrics::new(), limits).await;
    closed(running.connect(b"http/1.1").await).await;
    let mut slow = running.connect(b"http/1.1").await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
    closed(slow).await;
    closed(running.connect(b"h2").await).await;

    let mut used = running.connect(b"http/1.1").await;
    used.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let answer = String::from_utf8(closed(used).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn idle_and_malformed_connections_do_not_keep_the_api_server_out() {
    let (webhook, mut tasks) = (Webhook::new(), JoinSet::new());
    let limits = Limits { connections: 40, connections_per_peer: 40, ..Limits::default() };
    let running = serve(webhook.router.clone(), webhook.metrics.clone(), limits).await;
    let mut api_server = http1(running.connect(b"http/1.1").await, &mut tasks).await;
    let review = || {
        let mut request = post(fixture("pod").to_string());
        request.headers_mut().insert("host", "localhost".parse().unwrap());
        request
    };
    assert_eq!(api_server.send_request(review()).await.unwrap().status(), StatusCode::OK);

    let mut hostile = Vec::new();
    for number in 0..200 {
        let mut tcp = TcpStream::connect(running.address).await.unwrap();
        if number % 3 == 0 {
            tcp.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        }
        hostile.push(tcp);
    }
    assert_eq!(api_server.send_request(review()).await.unwrap().status(), StatusCode::OK);
    let mut another = http1(running.connect(b"http/1.1").await, &mut tasks).await;
    assert_eq!(another.send_request(review()).await.unwrap().status(), StatusCode::OK);
    assert!(running.metrics.connections.evicted() > 0);
    assert_eq!(running.metrics.connections.refused(), 0);
}

#[tokio::test]
async fn a_new_connection_replaces_the_least_useful_one() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let running = serve(Router::new(), Metrics::new(), limits).await;
    let first = running.connect(b"http/1.1").await;
    let _second = running.connect(b"http/1.1").await;
    running.connect(b"http/1.1").await;
    closed(first).await;
    assert_eq!((running.metrics.connections.evicted(), running.metrics.connections.refused()), (1, 0));
}

#[tokio::test]
async fn a_connection_is_closed_after_a_rejection() {
    let webhook = Webhook::new();
    let running = serve(webhook.router.clone(), webhook.metrics.clone(), Limits::default()).await;
    for request in [
        "GET /mutate HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    ] {
        let mut stream = running.connect(b"http/1.1").await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = String::from_utf8(closed(stream).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
    }
}

#[tokio::test]
async fn a_request_in_flight_at_shutdown_is_answered() {
    for protocol in [&b"http/1.1"[..], b"h2"] {
        let (release, entered, mut tasks) = (Arc::new(Notify::new()), Arc::new(Notify::new()), JoinSet::new());
        let mut running = serve(busy(&release, &entered), Metrics::new(), Limits::default()).await;
        let idle = running.connect(b"http/1.1").await;
        let stream = running.connect(protocol).await;
        let mut answers = JoinSet::new();
        if protocol == b"h2" {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tasks.spawn(async move { drop(connection.await) });
            let request = Request::get("https://localhost/busy").body(Body::empty()).unwrap();
            answers.spawn(async move { text(sender.send_request(request).await.unwrap()).await });
        } else {
            let mut sender = http1(stream, &mut tasks).await;
            let request = Request::get("/busy").header("host", "localhost").body(Body::empty()).unwrap();
            answers.spawn(async move { text(sender.send_request(request).await.unwrap()).await });
        }
        timeout(PATIENCE, entered.notified()).await.unwrap();
        running.stop.cancel();
        // The idle connection is closed while the other is still busy, and no new one is accepted.
        closed(idle).await;
        assert!(TcpStream::connect(running.address).await.is_err());
        assert!(running.ended.try_join_next().is_none());
        release.notify_one();
        assert_eq!(timeout(PATIENCE, answers.join_next()).await.unwrap().unwrap().unwrap(), "done");
        running.stopped().await.unwrap();
    }
}

#[tokio::test]
async fn after_the_shutdown_began_it_answers_for_a_while_and_sends_callers_elsewhere() {
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    let limits = Limits { linger: Duration::from_secs(2), ..Limits::default() };
    let running = serve(Router::new().route("/", get(async || "ok")), Metrics::new(), limits).await;
    let mut before = running.connect(b"http/1.1").await;
    let idle = running.connect(b"http/1.1").await;
    running.stop.cancel();
    let mut after = running.connect(b"http/1.1").await;
    for stream in [&mut before, &mut after] {
        stream.write_all(GET).await.unwrap();
        // The connection ends with the first answer.
        let answer = String::from_utf8(closed(stream).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("connection: close"), "{answer}");
    }
    assert_eq!(running.metrics.connections.open(), 1, "one that nobody uses stays until the end");
    closed(idle).await;
    assert!(TcpStream::connect(running.address).await.is_err());
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let (release, entered, mut tasks) = (Arc::new(Notify::new()), Arc::new(Notify::new()), JoinSet::new());
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let running = serve(busy(&release, &entered), Metrics::new(), limits).await;
    let mut sender = http1(running.connect(b"http/1.1").await, &mut tasks).await;
    let request = Request::get("/busy").header("host", "localhost").body(Body::empty()).unwrap();
    tasks.spawn(async move { assert!(sender.send_request(request).await.is_err()) });
    timeout(PATIENCE, entered.notified()).await.unwrap();
    let ended = running.stopped().await;
    assert_eq!(ended, Err(ServeError::Drain { connections: 1, after: Duration::from_millis(50) }));
    while let Some(task) = timeout(PATIENCE, tasks.join_next()).await.unwrap() {
        task.unwrap();
    }
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let running = serve(Router::new(), Metrics::new(), Limits::default()).await;
    let tls = Arc::new(
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new())),
    );
    let again = Server::new("webhook", Router::new(), server::Metrics::default())
        .tls(tls)
        .bind("--webhook-addr", running.address)
        .await;
    let error = again.expect_err("the address is in use").to_string();
    assert!(error.contains(&running.address.to_string()) && error.contains("--webhook-addr: cannot listen"), "{error}");
}

async fn text(answer: http::Response<hyper::body::Incoming>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
