//! The admin server's limits.

use std::time::Duration;

use axum::Router;
use logstream_runtime::server::{Limits, Metrics, Server};

/// Maximum number of connections. The kubelet and Prometheus hold one or two each.
const CONNECTIONS: usize = 64;

/// Time limit for the head of a request, from the start of the connection or the previous answer.
const HEAD: Duration = Duration::from_secs(10);

/// Time limit for requests in flight at shutdown, just below what the supervisor waits.
const DRAIN: Duration = Duration::from_millis(800);

/// A plain HTTP server for health and metrics. A client that holds many idle connections loses them first, so a probe
/// always finds a free one.
pub(super) fn server(router: Router) -> Server {
    Server::new("admin", router, Metrics::default()).limits(Limits {
        connections: CONNECTIONS,
        connections_per_peer: CONNECTIONS,
        first_request: HEAD,
        idle: HEAD,
        linger: Duration::ZERO,
        drain: DRAIN,
        ..Limits::default()
    })
}
