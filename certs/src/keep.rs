//! Feeding the resolver.

use std::{pin::pin, sync::Arc};

use tracing::info;

use crate::{metrics::Metrics, resolver::Resolver, source::CertSource};

/// Why feeding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Shutdown,
    /// The source gives nothing any more; the last bundle stays.
    Source,
}

/// Serves each bundle that the source gives, until the source or `shutdown` ends. The caller supervises it.
pub async fn keep(
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
        metrics.serving(&bundle);
        resolver.serve(bundle);
    }
}
