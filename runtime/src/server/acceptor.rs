//! Accepts connections, with a pause after errors that would repeat at once.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep_until},
};
use tracing::warn;

use super::Metrics;
use crate::backoff::ceiling;

/// First pause: long enough for a connection to end and free its file descriptor.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause: shorter than the API server's timeout.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A source of connections.
pub(super) trait Listen: Send {
    /// The next connection. Cancel safe.
    fn accept(&mut self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Listen for TcpListener {
    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self).await
    }
}

/// A listener that counts errors and pauses after them.
pub(super) struct Acceptor<L> {
    listener: L,
    metrics: Metrics,
    /// Number of errors since the last connection.
    failures: u32,
    resume: Instant,
}

impl<L: Listen> Acceptor<L> {
    pub(super) fn new(listener: L, metrics: Metrics) -> Self {
        Self { listener, metrics, failures: 0, resume: Instant::now() }
    }

    /// The next connection. Cancel safe: a pause continues in the next call.
    pub(super) async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            sleep_until(self.resume).await;
            let error = match self.listener.accept().await {
                Ok(accepted) => {
                    self.failures = 0;
                    return accepted;
                }
                Err(error) => error,
            };
            self.metrics.accept_failed();
            if is_of_the_connection(&error) {
                continue;
            }
            // Jitter is not needed: a listener has only one acceptor.
            let pause = ceiling(SHORTEST_PAUSE, LONGEST_PAUSE, self.failures);
            self.failures = self.failures.saturating_add(1);
            self.resume = Instant::now() + pause;
            warn!(%error, ?pause, "accepting connections failed");
        }
    }
}

/// True if only one connection failed, as opposed to the process being out of a resource.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// Fails every time, as if no file descriptors were left.
    struct Exhausted;

    impl Listen for Exhausted {
        async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
            Err(io::Error::from_raw_os_error(24))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn running_out_of_descriptors_is_waited_out_and_not_looped_on() {
        let metrics = Metrics::default();
        let mut acceptor = Acceptor::new(Exhausted, metrics.clone());
        timeout(Duration::from_secs(10), acceptor.next()).await.unwrap_err();
        // 50, 100, 200, 400, 800 ms, then one a second.
        assert_eq!(metrics.accept_errors(), 14);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_outlives_a_cancelled_call() {
        let metrics = Metrics::default();
        let mut acceptor = Acceptor::new(Exhausted, metrics.clone());
        for _ in 0..100 {
            timeout(Duration::from_millis(1), acceptor.next()).await.unwrap_err();
        }
        assert!(metrics.accept_errors() <= 3, "{}", metrics.accept_errors());
    }
}
