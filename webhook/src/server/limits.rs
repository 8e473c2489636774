//! What a peer may take of the server.

use std::time::Duration;

/// Limits of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of open connections, at least 1. Each API server keeps a few.
    pub connections: usize,
    /// Maximum number of open connections of one IP address, at least 1. All API servers may come by one, such as that of
    /// a konnectivity agent.
    pub connections_per_peer: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long after the handshake the head of the first request may take.
    pub first_request: Duration,
    /// How long a connection may be idle between requests, the head of the next one included. Longer than the API
    /// server's own limit (client-go closes at 90 s), so that it is the side that closes: a server that closes first
    /// now and then closes just as a request is sent, and that pod would be missed.
    pub idle: Duration,
    /// How long after the shutdown began connections are still taken, and requests answered: the API server may hold
    /// this address for a while. Each answer asks its caller to come anew, who is led elsewhere then.
    pub linger: Duration,
    /// How long requests in flight may take after that.
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
