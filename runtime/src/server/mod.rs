//! An HTTP server that slow or hostile clients cannot occupy: configured, bound, run, drained.

mod acceptor;
mod activity;
mod connection;
mod connections;
mod limits;
mod metrics;

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::TcpListener,
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::{
    acceptor::Acceptor,
    connection::Connection,
    connections::{Admitted, Connections, Id},
};
pub use self::{
    limits::Limits,
    metrics::{HandshakeFailure, Metrics},
};
use crate::listen::{self, ListenError};

/// A configured server.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    limits: Limits,
    metrics: Metrics,
}

/// A bound server. Connections wait in the kernel's backlog until it runs.
#[derive(Debug)]
pub struct Bound {
    setting: String,
    server: Server,
    listener: TcpListener,
    local_addr: SocketAddr,
}

/// Error of a server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// Requests were unanswered at the end of the drain and were cancelled.
    #[error("{connections} connections were still busy {after:?} after the start of the drain and were cancelled")]
    Drain {
        /// Number of cancelled connections.
        connections: usize,
        /// [`Limits::drain`].
        after: Duration,
    },
}

impl Server {
    /// Creates a plain HTTP/1.1 server with the default [`Limits`]. `name` is used in log messages.
    pub fn new(name: &'static str, router: Router, metrics: Metrics) -> Self {
        Self { name, tls: None, router, limits: Limits::default(), metrics }
    }

    /// Serves over TLS. The protocol is chosen by ALPN: `h2` gives HTTP/2, anything else HTTP/1.1.
    #[must_use]
    pub fn tls(self, tls: Arc<rustls::ServerConfig>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Replaces the limits.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Binds the address of `setting`. Port 0 selects a free port.
    ///
    /// # Errors
    /// See [`listen::bind`].
    pub async fn bind(self, setting: &str, address: SocketAddr) -> Result<Bound, ListenError> {
        let listener = listen::bind(setting, address).await?;
        let fail = |source: io::Error| ListenError { setting: setting.to_owned(), address, source };
        let local_addr = listener.local_addr().map_err(fail)?;
        Ok(Bound { setting: setting.to_owned(), server: self, listener, local_addr })
    }
}

impl Bound {
    /// The setting of the address, such as `--health-addr`.
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until [`Limits::linger`] after `shutdown`, then drains: no new connections, requests in flight are answered,
    /// idle connections are closed. Requests still open after [`Limits::drain`] are cancelled.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let Self { server, listener, local_addr, .. } = self;
        let limits = server.limits;
        let name = server.name;
        let mut serving = Serving {
            acceptor: Acceptor::new(listener, server.metrics.clone()),
            open: Connections::default(),
            connections: JoinSet::new(),
            leaving: CancellationToken::new(),
            drain: CancellationToken::new(),
            tls: server.tls.clone().map(TlsAcceptor::from),
            server,
        };
        info!(address = %local_addr, "{name} serving");
        serving.until(shutdown).await;
        serving.leaving.cancel();
        if !limits.linger.is_zero() {
            info!(linger = ?limits.linger, "{name} shutting down, still accepting requests");
            serving.until(sleep(limits.linger)).await;
        }
        let Serving { acceptor, mut connections, drain, .. } = serving;
        drop(acceptor);
        info!(connections = connections.len(), "{name} draining");
        drain.cancel();
        finish(name, &mut connections, limits.drain).await
    }
}

/// A running server.
struct Serving {
    server: Server,
    tls: Option<TlsAcceptor>,
    acceptor: Acceptor<TcpListener>,
    open: Connections,
    /// Tasks of the connections. Each returns its id.
    connections: JoinSet<Id>,
    leaving: CancellationToken,
    drain: CancellationToken,
}

impl Serving {
    /// Accepts connections until `end`.
    async fn until(&mut self, end: impl Future<Output = ()> + Send) {
        let mut end = pin!(end);
        loop {
            let (tcp, peer) = tokio::select! {
                () = &mut end => return,
                Some(ended) = self.connections.join_next() => {
                    if let Some(id) = reap(ended) {
                        self.open.remove(id);
                    }
                    continue;
                }
                accepted = self.acceptor.next() => accepted,
            };
            // Closed rather than left waiting: a client that is refused can go on at once. With `failurePolicy: Ignore`
            // that costs a pod nothing, while a hanging call costs it the whole timeout.
            let Some(Admitted { id, activity, evict, evicted }) = self.open.admit(peer, &self.server.limits) else {
                self.server.metrics.refuse();
                debug!(%peer, "connection refused, too many are in use");
                continue;
            };
            if evicted {
                self.server.metrics.evict();
                debug!(%peer, "too many connections, closed the least useful one");
            }
            let connection = Connection {
                tls: self.tls.clone(),
                router: self.server.router.clone(),
                limits: self.server.limits,
                metrics: self.server.metrics.clone(),
                leaving: self.leaving.clone(),
                drain: self.drain.clone(),
                activity,
            };
            self.connections.spawn(async move {
                let _ = evict.run_until_cancelled(Box::pin(connection.serve(tcp, peer))).await;
                id
            });
        }
    }
}

/// Waits for all connections to end, up to a time limit.
async fn finish(name: &str, connections: &mut JoinSet<Id>, within: Duration) -> Result<(), ServeError> {
    let all = async {
        while let Some(ended) = connections.join_next().await {
            reap(ended);
        }
    };
    if timeout(within, all).await.is_ok() {
        return Ok(());
    }
    let error = ServeError::Drain { connections: connections.len(), after: within };
    warn!(%error, "{name} drain timed out");
    connections.shutdown().await;
    Err(error)
}

/// The id of a closed connection. One that panicked keeps its entry, which is evicted before any other.
fn reap(ended: Result<Id, JoinError>) -> Option<Id> {
    // The text of the error contains the panic message. Handlers put no secret into it.
    ended.inspect_err(|error| error!(%error, "connection task panicked")).ok()
}
