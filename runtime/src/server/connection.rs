//! One connection, from handshake to close.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use http::{HeaderValue, Request, Version, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{either::Either, sync::CancellationToken};
use tower::ServiceExt as _;
use tracing::debug;

use super::{
    HandshakeFailure, Limits, Metrics,
    activity::{Activity, Next},
};

/// Buffer for the head of an HTTP/1.1 request, in bytes. The API server's has a few hundred.
const HEAD_LIMIT: usize = 32 * 1024;
/// The same for HTTP/2.
const HEADER_LIST_LIMIT: u32 = 16 * 1024;
/// Maximum number of concurrent requests on an HTTP/2 connection.
const STREAMS: u32 = 128;
/// Interval of HTTP/2 keep-alive pings.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Timeout of a keep-alive ping.
const PING_WITHIN: Duration = Duration::from_secs(10);

/// Dependencies of a connection.
pub(super) struct Connection {
    /// `None` for plain HTTP.
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) router: Router,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    /// Cancelled when clients should reconnect to another replica.
    pub(super) leaving: CancellationToken,
    pub(super) drain: CancellationToken,
    /// Decides whether it is closed to make room for others.
    pub(super) activity: Activity,
}

impl Connection {
    /// Serves until the peer closes it, it is idle for too long, or it is drained.
    pub(super) async fn serve(self, tcp: TcpStream, peer: SocketAddr) {
        let _connected = self.metrics.connected();
        // Each response is one small write. If the option cannot be set, the socket is about to fail anyway.
        let _ = tcp.set_nodelay(true);
        let Some(tls) = &self.tls else { return self.serve_stream(Either::Left(tcp), false, peer).await };
        match timeout(self.limits.handshake, tls.accept(tcp)).await {
            Ok(Ok(stream)) => {
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.serve_stream(Either::Right(stream), h2, peer).await;
            }
            Ok(Err(error)) => {
                self.metrics.handshake_failed(HandshakeFailure::Tls);
                debug!(%peer, %error, "handshake failed");
            }
            Err(_) => {
                self.metrics.handshake_failed(HandshakeFailure::Deadline);
                debug!(%peer, "handshake took too long");
            }
        }
    }

    // One type for plain HTTP and TLS: the HTTP server is compiled for each type of stream.
    async fn serve_stream(self, stream: Either<TcpStream, TlsStream<TcpStream>>, h2: bool, peer: SocketAddr) {
        let Self { router, limits, leaving, drain, activity, .. } = self;
        // Cancelled after a rejected request, which the API server does not send.
        let rejected = CancellationToken::new();
        let service = service_fn({
            let (activity, rejected) = (activity.clone(), rejected.clone());
            move |request: Request<Incoming>| {
                let in_flight = activity.request();
                // HTTP/2 has no Connection header. Its connections are shut down when the drain begins.
                let (http1, leaving, rejected) =
                    (request.version() < Version::HTTP_2, leaving.clone(), rejected.clone());
                let answer = router.clone().oneshot(request.map(Body::new));
                async move {
                    let mut answer: Result<Response, Infallible> = answer.await;
                    if let Ok(answer) = &mut answer {
                        if answer.status().is_success() {
                            in_flight.accepted();
                        } else if answer.status().is_client_error() {
                            rejected.cancel();
                        }
                        if http1 && (leaving.is_cancelled() || rejected.is_cancelled()) {
                            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                        }
                    }
                    drop(in_flight);
                    answer
                }
            }
        });
        let builder = builder(h2, &limits);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut look = Instant::now();
        let mut closing = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(%peer, %error, "connection failed");
                    }
                    return;
                }
                () = cancelled_either(&drain, &rejected), if !closing => {
                    closing = true;
                    activity.close();
                    connection.as_mut().graceful_shutdown();
                    look = Instant::now();
                }
                () = sleep_until(look) => match activity.next(&limits) {
                    Next::At(at) => look = at,
                    // The first close is graceful. If the peer does not react, the second one drops the connection.
                    Next::Close if activity.close() => {
                        connection.as_mut().graceful_shutdown();
                        look = Instant::now();
                    }
                    Next::Close => return,
                },
            }
        }
    }
}

async fn cancelled_either(one: &CancellationToken, other: &CancellationToken) {
    tokio::select! {
        () = one.cancelled() => {}
        () = other.cancelled() => {}
    }
}

fn builder(h2: bool, limits: &Limits) -> Builder<Streams> {
    let mut builder = Builder::new(Streams::default());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.idle).max_buf_size(HEAD_LIMIT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST_LIMIT);
    if h2 { builder.http2_only() } else { builder.http1_only() }
}

/// Runs the streams of an HTTP/2 connection, which end with it.
#[derive(Debug, Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, future: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(future);
    }
}
