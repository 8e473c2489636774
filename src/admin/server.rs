//! A small HTTP server that a slow or hostile caller cannot occupy.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::runtime::listen::{self, ListenError};

/// kubelet and Prometheus hold one or two each. At the limit the oldest connection goes: whoever holds many idle ones
/// loses them, and a probe that comes now is answered.
const CONNECTIONS: usize = 64;

/// From the first byte of a connection, or the end of the answer before, to the end of a request's headers.
const HEADERS: Duration = Duration::from_secs(10);

/// A connection's whole life, so that one that reads its answer slowly ends too. Prometheus connects again by itself.
const LIFE: Duration = Duration::from_mins(5);

/// After an accept that failed for want of something, such as file descriptors: an immediate retry would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How long answers under way get once the server is told to end; just below what the supervisor waits.
const DRAIN: Duration = Duration::from_millis(800);

/// A port that is open, and what is to be answered there.
#[derive(Debug)]
pub struct AdminServer {
    setting: &'static str,
    listener: TcpListener,
    router: Router,
    connections: usize,
}

impl AdminServer {
    /// Opens the port that `setting` asked for. Nothing is answered before [`AdminServer::run`].
    pub async fn bind(setting: &'static str, address: SocketAddr, router: Router) -> Result<Self, ListenError> {
        let listener = listen::bind(setting, address).await?;
        Ok(Self { setting, listener, router, connections: CONNECTIONS })
    }

    /// The flag that asked for it, such as `--health-addr`.
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// The address it listens on, with the port that the system chose if it was to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `token` is cancelled; then it stops listening, lets what is under way end for a moment, and
    /// returns.
    pub async fn run(self, token: CancellationToken) {
        let Self { listener, router, connections: limit, .. } = self;
        let graceful = GracefulShutdown::new();
        let mut connections = Connections { limit, open: JoinSet::new(), oldest_first: VecDeque::new() };
        loop {
            tokio::select! {
                () = token.cancelled() => break,
                Some(_) = connections.open.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => connections.serve(stream, router.clone(), &graceful),
                    Err(error) if concerns_one_caller(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::debug!("connections were cut off");
        }
    }
}

/// The caller went away before it was served: no trouble of ours.
fn concerns_one_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

struct Connections {
    limit: usize,
    open: JoinSet<()>,
    oldest_first: VecDeque<AbortHandle>,
}

impl Connections {
    fn serve(&mut self, stream: TcpStream, router: Router, graceful: &GracefulShutdown) {
        self.oldest_first.retain(|connection| !connection.is_finished());
        if self.oldest_first.len() >= self.limit
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            tracing::debug!(limit = self.limit, "too many connections, the oldest is cut off");
            oldest.abort();
        }
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_header_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        let connection = tokio::time::timeout(LIFE, graceful.watch(connection));
        let handle = self.open.spawn(async move {
            if let Ok(Err(error)) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        self.oldest_first.push_back(handle);
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    struct Running {
        address: SocketAddr,
        token: CancellationToken,
        tasks: JoinSet<()>,
    }

    async fn running(connections: usize, router: Router) -> Running {
        let mut server = AdminServer::bind("--health-addr", "127.0.0.1:0".parse().unwrap(), router).await.unwrap();
        server.connections = connections;
        let (address, token) = (server.local_addr().unwrap(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(token.clone()));
        Running { address, token, tasks }
    }

    async fn get_over(stream: &mut TcpStream) -> io::Result<String> {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await??;
        Ok(answer)
    }

    #[tokio::test]
    async fn it_answers_over_a_real_connection_and_stops_listening_when_told() {
        let mut server = running(4, Router::new().route("/", get(|| async { "hello" }))).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let answer = get_over(&mut stream).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"), "{answer}");

        server.token.cancel();
        tokio::time::timeout(DEADLINE, server.tasks.join_next()).await.unwrap().unwrap().unwrap();
        let refused = TcpStream::connect(server.address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn idle_connections_keep_nobody_out() {
        let server = running(2, Router::new().route("/", get(|| async { "hello" }))).await;
        let mut idle = Vec::new();
        for _ in 0..6 {
            idle.push(TcpStream::connect(server.address).await.unwrap());
        }
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        assert!(get_over(&mut stream).await.unwrap().ends_with("hello"));
        // The first of the idle ones was cut off to make room.
        let mut byte = [0];
        let ended = tokio::time::timeout(DEADLINE, idle[0].read(&mut byte)).await.unwrap();
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }

    #[tokio::test]
    async fn an_answer_under_way_is_finished_after_the_server_is_told_to_end() {
        let (entered, leave) = (CancellationToken::new(), CancellationToken::new());
        let (enter, left) = (entered.clone(), leave.clone());
        let slow = get(move || async move {
            enter.cancel();
            left.cancelled().await;
            "late"
        });
        let mut server = running(4, Router::new().route("/", slow)).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
        entered.cancelled().await;
        server.token.cancel();
        leave.cancel();
        let mut answer = String::new();
        tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.ends_with("late"), "{answer}");
        tokio::time::timeout(DEADLINE, server.tasks.join_next()).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_caller_that_never_ends_its_headers_is_cut_off() {
        let server = running(4, Router::new()).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        // From here on time is tokio's: it jumps to the next deadline whenever nothing else is left to do.
        tokio::time::pause();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(HEADERS * 2, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "the connection outlived the deadline for headers");
    }
}
