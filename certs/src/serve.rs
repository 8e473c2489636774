//! The loop that passes bundles from a source to the resolver.

use std::{pin::pin, sync::Arc};

use tracing::info;

use crate::{metrics::Metrics, resolver::Resolver, source::CertSource};

/// Reason why [`serve_from`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Shutdown was requested.
    Shutdown,
    /// The source ended; the last bundle stays in use.
    Source,
}

/// Serves each bundle from `source` until the source ends or `shutdown` completes.
pub async fn serve_from(
    resolver: Arc<Resolver>,
    mut source: impl CertSource,
    metrics: Metrics,
    shutdown: impl Future<Output = ()> + Send,
) -> Ended {
    let mut shutdown = pin!(shutdown);
    loop {
        let bundle = tokio::select! {
            () = &mut shutdown => return Ended::Shutdown,
            bundle = source.next() => bundle,
        };
        let Some(bundle) = bundle else { return Ended::Source };
        info!(
            serial = bundle.serial(),
            fingerprint = bundle.fingerprint(),
            not_after = %bundle.not_after(),
            chain = bundle.chain_len(),
            "serving certificate changed"
        );
        metrics.serving_until(bundle.not_after());
        resolver.serve(bundle);
    }
}
