//! Holds back a mounted certificate until the caBundle verifies it.

use std::{sync::Arc, time::Duration};

use logstream_runtime::Clock;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::{
    bundle::Bundle, labels::Refused, metrics::Metrics, self_managed::PROPAGATION_DELAY, source::CertSource,
    trust::Trust,
};

#[cfg(test)]
mod tests;

/// Interval at which a held bundle is checked again.
const LOOK: Duration = Duration::from_secs(1);

/// Holds back a new bundle while the API server trusts the current one but not the new one, so that files and caBundle
/// can be replaced in any order.
///
/// A bundle is not held back if there is no working certificate to keep: before the first bundle, when the current one
/// has expired or is not trusted either, and while the caBundle is unknown.
pub struct HoldUntilTrusted<S> {
    source: S,
    trust: Arc<Trust>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    given: Option<Bundle>,
    waiting: Option<Waiting>,
}

struct Waiting {
    bundle: Bundle,
    /// Time since which this replica has seen the bundle trusted.
    trusted: Option<Instant>,
}

impl<S: CertSource> HoldUntilTrusted<S> {
    /// Wraps `source`.
    pub fn new(source: S, trust: Arc<Trust>, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        Self { source, trust, clock, metrics, given: None, waiting: None }
    }

    /// Accepts a new bundle and returns it unless it must be held back.
    fn take_in(&mut self, bundle: Bundle) -> Option<Bundle> {
        self.waiting = None;
        let Some(given) = &self.given else { return Some(bundle) };
        if given.fingerprint() == bundle.fingerprint() {
            info!(serial = bundle.serial(), "serving certificate unchanged after all");
            return None;
        }
        let now = self.clock.now();
        let Err(error) = self.trust.verify(Some(&bundle), now) else { return Some(bundle) };
        if self.trust.verify(Some(given), now).is_err() {
            return Some(bundle);
        }
        warn!(serial = bundle.serial(), %error, "holding back the serving certificate until the caBundle verifies it");
        self.metrics.refuse(Refused::Untrusted);
        self.waiting = Some(Waiting { bundle, trusted: None });
        None
    }

    /// Returns the held bundle once it may be served.
    fn look(&mut self) -> Option<Bundle> {
        let waiting = self.waiting.as_mut()?;
        let now = self.clock.now();
        if self.trust.verify(self.given.as_ref(), now).is_ok() {
            if self.trust.verify(Some(&waiting.bundle), now).is_err() {
                waiting.trusted = None;
                return None;
            }
            // Each API server learns of the change by its own watch.
            if waiting.trusted.get_or_insert_with(Instant::now).elapsed() < PROPAGATION_DELAY {
                return None;
            }
        }
        self.waiting.take().map(|waiting| waiting.bundle)
    }
}

impl<S: CertSource> CertSource for HoldUntilTrusted<S> {
    async fn next(&mut self) -> Option<Bundle> {
        loop {
            let bundle = tokio::select! {
                bundle = self.source.next() => self.take_in(bundle?),
                () = sleep(LOOK), if self.waiting.is_some() => self.look(),
            };
            if let Some(bundle) = bundle {
                self.given = Some(bundle.clone());
                return Some(bundle);
            }
        }
    }
}
