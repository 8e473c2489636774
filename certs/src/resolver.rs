//! The current serving certificate.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::bundle::Bundle;

/// Holds the current bundle and presents it in each handshake. Handshakes fail until there is one.
#[derive(Debug, Default)]
pub struct Resolver {
    current: ArcSwapOption<Bundle>,
}

impl Resolver {
    /// Creates a resolver without a bundle.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the bundle. Established connections are not affected.
    pub fn serve(&self, bundle: Bundle) {
        self.current.store(Some(Arc::new(bundle)));
    }

    /// The current bundle; `None` before the first. It may have expired: see [`Bundle::check_time`].
    pub fn current(&self) -> Option<Arc<Bundle>> {
        self.current.load_full()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // SNI is ignored: there is only one certificate, and it shows a client whether this is the right server.
        self.current.load().as_ref().map(|bundle| Arc::clone(bundle.certified()))
    }
}
