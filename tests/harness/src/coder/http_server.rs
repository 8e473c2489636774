//! The HTTP server: passes requests to the state, and injects the faults.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::answer::{self, Answer};
use super::routes::{Endpoint, ReceivedRequest};
use super::state::State;
use super::{Fault, JournalEntry};
use crate::pki::ServingCertificate;

/// Delay before binding again to a port that the system has not released yet.
const REBIND: Duration = Duration::from_millis(20);

/// Commands to the listener.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Control {
    pub(super) refuse: bool,
    /// Incremented by each cut: older connections end.
    pub(super) cuts: u64,
    pub(super) stopped: bool,
    /// New connections are served the expired certificate.
    pub(super) expired: bool,
}

/// State of the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PortState {
    Open,
    Closed,
}

/// The valid certificate and the expired one.
#[derive(Clone)]
pub(super) struct Acceptors {
    valid: TlsAcceptor,
    expired: TlsAcceptor,
}

impl Acceptors {
    pub(super) fn new((valid, expired): &(ServingCertificate, ServingCertificate)) -> Result<Self> {
        Ok(Self { valid: acceptor(valid)?, expired: acceptor(expired)? })
    }
}

fn acceptor(certificate: &ServingCertificate) -> Result<TlsAcceptor> {
    let chain = vec![CertificateDer::from_pem_slice(certificate.certificate.as_bytes())?];
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes())?;
    let mut config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until it is stopped.
pub(super) async fn serve(
    address: SocketAddr,
    tls: Option<Acceptors>,
    state: Arc<State>,
    mut control: watch::Receiver<Control>,
    report: watch::Sender<PortState>,
) {
    loop {
        let Ok(Control { stopped: false, .. }) =
            control.wait_for(|control| !control.refuse || control.stopped).await.map(|seen| *seen)
        else {
            return;
        };
        // tokio sets SO_REUSEADDR, so closed connections do not block the port.
        let Ok(listener) = TcpListener::bind(address).await else {
            tokio::time::sleep(REBIND).await;
            continue;
        };
        report.send_replace(PortState::Open);
        let mut connections = JoinSet::new();
        let mut watched = control.clone();
        let closing = loop {
            tokio::select! {
                seen = watched.wait_for(|control| control.refuse || control.stopped) => break seen.is_err(),
                Some(_) = connections.join_next() => {}
                came = listener.accept() => {
                    if let Ok((stream, peer)) = came {
                        let connection = Connection {
                            tls: tls.clone(), state: Arc::clone(&state), control: control.clone(), peer,
                        };
                        connections.spawn(connection.run(stream));
                    }
                }
            }
        };
        drop(listener);
        connections.shutdown().await;
        report.send_replace(PortState::Closed);
        if closing {
            return;
        }
    }
}

struct Connection {
    tls: Option<Acceptors>,
    state: Arc<State>,
    control: watch::Receiver<Control>,
    peer: SocketAddr,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut control = self.control.clone();
        let Control { cuts: born, expired, .. } = *control.borrow_and_update();
        let serve = async {
            match &self.tls {
                None => self.serve(stream).await,
                Some(Acceptors { valid, expired: late }) => {
                    let tls = if expired { late } else { valid };
                    if let Ok(stream) = tls.accept(stream).await {
                        self.serve(stream).await;
                    }
                }
            }
        };
        tokio::select! {
            cut = control.wait_for(|control| control.cuts != born) => drop(cut),
            () = serve => {}
        }
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
        let (state, peer) = (Arc::clone(&self.state), self.peer);
        let service = service_fn(move |request| handle(Arc::clone(&state), peer, request));
        let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    }
}

/// Ends the connection without a response.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct Cut;

async fn handle(state: Arc<State>, peer: SocketAddr, request: Request<Incoming>) -> Result<Answer, Cut> {
    let received = Instant::now();
    let in_flight = InFlight::begin(&state);
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes().to_vec();
    let token = head.headers.get("coder-session-token").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let request = ReceivedRequest {
        endpoint: Endpoint::of(head.uri.path()),
        method: head.method,
        token: token.to_owned(),
        address: peer.ip(),
        body,
    };
    let latency = state.read(|inner| inner.latency);
    pause(latency / 2).await;
    let fault = state.change(|inner| {
        *inner.requests_of.entry((request.token.clone(), request.endpoint)).or_default() += 1;
        inner.faults.next(request.endpoint, &request.token, &request.body)
    });
    let at = SystemTime::now();
    let mut batch = None;
    let mut effect = || {
        state.change(|inner| {
            let next = inner.batches;
            let answer = inner.answer(&request);
            batch = (inner.batches != next).then_some(next);
            answer
        })
    };
    let answer = match fault {
        None => Some(effect()),
        Some(Fault::Status(code)) => Some(answer::error(status(code), "Injected by the test.", "")),
        Some(Fault::Html(code)) => Some(answer::html(status(code))),
        Some(Fault::Empty(code)) => Some(answer::empty(status(code))),
        Some(Fault::Text(code)) => Some(answer::text(status(code), "Request blocked.")),
        Some(Fault::CutBefore) => None,
        Some(Fault::CutAfter) => {
            effect();
            None
        }
        Some(Fault::Stall) => {
            state.change(|inner| inner.count(request.endpoint, 0));
            std::future::pending().await
        }
    };
    pause(latency / 2).await;
    let code = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
    let ReceivedRequest { endpoint, token, .. } = request;
    state.change(|inner| {
        inner.count(endpoint, code);
        if let Some(journal) = &mut inner.journal {
            journal.push(JournalEntry { endpoint, token, received, at, answered: Instant::now(), status: code, batch });
        }
    });
    drop(in_flight);
    answer.ok_or(Cut)
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).expect("a test asks for a status that exists")
}

/// Counts a request as in flight until it is answered or its connection ends.
struct InFlight(Arc<State>);

impl InFlight {
    fn begin(state: &Arc<State>) -> Self {
        state.change(|inner| {
            inner.in_flight += 1;
            inner.max_in_flight = inner.max_in_flight.max(inner.in_flight);
        });
        Self(Arc::clone(state))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.change(|inner| inner.in_flight -= 1);
    }
}
