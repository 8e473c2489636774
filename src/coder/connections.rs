//! The connection pool for Coder, and when it is replaced.

use std::sync::Arc;

use arc_swap::ArcSwap;
use reqwest::{Client, Url};
use rustls::ClientConfig;

use super::{
    client::{ConfigError, http_with},
    error::Failure,
    tls,
};

/// The HTTP client with its connection pool.
///
/// A pooled connection stays with the address that Coder's name had when it was opened, for as long as that address
/// answers. If Coder moves, a proxy at the old address may answer with errors for a long time. Therefore an answer that
/// is not Coder's own replaces the client: the next request resolves the name again, and requests in flight finish on
/// the old one.
pub(super) struct Connections {
    tls: ClientConfig,
    current: ArcSwap<Client>,
}

impl Connections {
    pub(super) fn new(url: &Url) -> Result<Self, ConfigError> {
        let tls = tls::config(url)?;
        let client = http_with(tls.clone(), false)?;
        Ok(Self { tls, current: ArcSwap::from_pointee(client) })
    }

    /// The client for one request.
    pub(super) fn current(&self) -> Arc<Client> {
        self.current.load_full()
    }

    /// Replaces the client after a failed request, if the failure may be due to its connection.
    pub(super) fn failed(&self, used: &Arc<Client>, failure: &Failure) {
        // If many requests fail at the same time, one replacement is enough.
        if failure.doubts_server() && Arc::ptr_eq(&self.current.load(), used) {
            match http_with(self.tls.clone(), false) {
                Ok(client) => _ = self.current.compare_and_swap(used, Arc::new(client)),
                Err(error) => tracing::debug!(%error, "connections to Coder are kept"),
            }
        }
    }
}
