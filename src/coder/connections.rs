//! Kept connections to Coder, and when to part with them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use reqwest::{Client, Url};
use rustls::ClientConfig;

use super::{
    client::{ConfigError, http_with},
    error::Failure,
    tls,
};

/// The HTTP client with its kept connections.
///
/// A kept connection stays with the address that Coder's name had when it was made, for as long as that address answers.
/// If Coder moves, a proxy at the old address may answer with errors for a long time. So an answer that is not Coder's
/// own replaces the client: the next request resolves the name again, and requests in flight end where they are.
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

    /// A request by this client failed.
    pub(super) fn failed(&self, used: &Arc<Client>, failure: &Failure) {
        // One of many requests that fail at the same time is enough.
        if failure.doubts_server() && Arc::ptr_eq(&self.current.load(), used) {
            match http_with(self.tls.clone(), false) {
                Ok(client) => _ = self.current.compare_and_swap(used, Arc::new(client)),
                Err(error) => tracing::debug!(%error, "connections to Coder are kept"),
            }
        }
    }
}
