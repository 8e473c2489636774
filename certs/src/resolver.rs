//! The certificate that is served now.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::bundle::Bundle;

/// Holds the current bundle and gives it to each handshake. A handshake before the first bundle fails.
#[derive(Debug, Default)]
pub struct Resolver {
    current: ArcSwapOption<Bundle>,
}

impl Resolver {
    /// A resolver without a bundle.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves a bundle from now on. Connections that stand are not touched.
    pub fn serve(&self, bundle: Bundle) {
        self.current.store(Some(Arc::new(bundle)));
    }

    /// What is served now; `None` before the first bundle. Its time may be over: see [`Bundle::check_time`].
    pub fn current(&self) -> Option<Arc<Bundle>> {
        self.current.load_full()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // One name is served. A client that asks for another learns by the certificate that it is wrong here.
        self.current.load().as_ref().map(|bundle| Arc::clone(bundle.certified()))
    }
}
