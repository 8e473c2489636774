//! Limits of the server.

use std::time::Duration;

/// Limits of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of open connections, at least 1. Each API server keeps a few.
    pub connections: usize,
    /// Maximum number of open connections per IP address, at least 1. All API servers may share one address, such as
    /// that of a konnectivity agent.
    pub connections_per_peer: usize,
    /// Time limit of the TLS handshake.
    pub handshake: Duration,
    /// Time limit from the handshake to the head of the first request.
    pub first_request: Duration,
    /// Maximum idle time between requests, including the head of the next one. Longer than that of the API server,
    /// which closes after 90 s (client-go): a server that closes first sometimes closes while a request is sent, and
    /// misses that pod.
    pub idle: Duration,
    /// Time after SIGTERM during which connections are still accepted and requests answered, because the API server may
    /// still use this address. Each answer closes its connection, so that the client reconnects elsewhere.
    pub linger: Duration,
    /// Time limit for requests in flight after that.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            connections_per_peer: 128,
            handshake: Duration::from_secs(5),
            first_request: Duration::from_secs(10),
            idle: Duration::from_mins(2),
            linger: Duration::ZERO,
            drain: Duration::from_secs(10),
        }
    }
}
