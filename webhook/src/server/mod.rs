//! The TLS server: configured, bound, run, drained.

mod acceptor;
mod activity;
mod connection;
mod connections;
mod limits;

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use logstream_runtime::listen::{self, ListenError};
use tokio::{
    net::TcpListener,
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

pub use self::limits::Limits;
use self::{
    acceptor::Acceptor,
    connection::Connection,
    connections::{Admitted, Connections, Id},
};
use crate::metrics::Metrics;

/// A configured server.
pub struct Server {
    tls: Arc<rustls::ServerConfig>,
    router: Router,
    limits: Limits,
    metrics: Metrics,
}

/// A bound server. Connections wait in the kernel's backlog until it runs.
pub struct Bound {
    server: Server,
    listener: TcpListener,
    local_addr: SocketAddr,
}

/// Error of a server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// Requests were unanswered at the end of the drain and were cancelled.
    #[error("{connections} connections were still busy {after:?} after the shutdown began and were broken off")]
    Drain {
        /// Number of cancelled connections.
        connections: usize,
        /// [`Limits::drain`].
        after: Duration,
    },
}

impl Server {
    /// Creates a server for this router with the default [`Limits`].
    ///
    /// The TLS configuration decides the protocol by ALPN: `h2` gives HTTP/2, anything else HTTP/1.1.
    pub fn new(tls: Arc<rustls::ServerConfig>, router: Router, metrics: Metrics) -> Self {
        Self { tls, router, limits: Limits::default(), metrics }
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
        Ok(Bound { server: self, listener, local_addr })
    }
}

impl Bound {
    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until [`Limits::linger`] after `shutdown`, then drains: no new connections, requests in flight are answered,
    /// idle connections are closed. Requests still open after [`Limits::drain`] are cancelled.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let Self { server, listener, local_addr } = self;
        let limits = server.limits;
        let mut serving = Serving {
            acceptor: Acceptor::new(listener, server.metrics.clone()),
            open: Connections::default(),
            connections: JoinSet::new(),
            leaving: CancellationToken::new(),
            drain: CancellationToken::new(),
            tls: TlsAcceptor::from(server.tls.clone()),
            server,
        };
        info!(address = %local_addr, "webhook serving");
        serving.until(shutdown).await;
        serving.leaving.cancel();
        if !limits.linger.is_zero() {
            info!(linger = ?limits.linger, "webhook leaving, it still answers");
            serving.until(sleep(limits.linger)).await;
        }
        let Serving { acceptor, mut connections, drain, .. } = serving;
        drop(acceptor);
        info!(connections = connections.len(), "webhook draining");
        drain.cancel();
        finish(&mut connections, limits.drain).await
    }
}

/// A running server.
struct Serving {
    server: Server,
    tls: TlsAcceptor,
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
            // Closed rather than left waiting: under `failurePolicy: Ignore` a refused call costs the pod nothing,
            // and one that hangs costs it the whole timeout.
            let Some(Admitted { id, activity, evict, evicted }) = self.open.admit(peer, &self.server.limits) else {
                self.server.metrics.refused_connection();
                debug!(%peer, "connection refused, too many are in use");
                continue;
            };
            if evicted {
                self.server.metrics.evicted_connection();
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

/// Waits for the connections, up to a time limit.
async fn finish(connections: &mut JoinSet<Id>, within: Duration) -> Result<(), ServeError> {
    let all = async {
        while let Some(ended) = connections.join_next().await {
            reap(ended);
        }
    };
    if timeout(within, all).await.is_ok() {
        return Ok(());
    }
    let error = ServeError::Drain { connections: connections.len(), after: within };
    warn!(%error, "webhook drain ran out of time");
    connections.shutdown().await;
    Err(error)
}

/// The id of a closed connection. One that panicked keeps its entry, which is evicted before any other.
fn reap(ended: Result<Id, JoinError>) -> Option<Id> {
    // The error's text holds the panic's message, which no code of ours puts a secret into.
    ended.inspect_err(|error| error!(%error, "connection task panicked")).ok()
}
