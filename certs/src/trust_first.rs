//! Trust first, serve after, where somebody else keeps both.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::{
    bundle::Bundle,
    metrics::{Metrics, Refused},
    self_managed::SETTLE,
    source::{CertSource, Clock},
    trust::Trust,
};

#[cfg(test)]
mod tests;

/// How often it is looked whether a bundle that waits is trusted by now.
const LOOK: Duration = Duration::from_secs(1);

/// A source that holds a bundle back while the API server trusts the one before and not yet this one: it does not matter
/// then whether the files or the caBundle are replaced first.
///
/// With nothing to lose nothing is held back: before the first bundle, when the one before has expired or is not
/// trusted either, and while it is not known what is trusted.
pub struct TrustFirst<S> {
    source: S,
    trust: Arc<Trust>,
    clock: Clock,
    metrics: Metrics,
    given: Option<Bundle>,
    waiting: Option<Waiting>,
}

struct Waiting {
    bundle: Bundle,
    /// Since when it is trusted, as far as this replica saw.
    trusted: Option<Instant>,
}

impl<S: CertSource> TrustFirst<S> {
    /// Holds back what comes from this source.
    pub fn new(source: S, trust: Arc<Trust>, clock: Clock, metrics: Metrics) -> Self {
        Self { source, trust, clock, metrics, given: None, waiting: None }
    }

    /// Takes in a new bundle, and gives it if it need not wait.
    fn take_in(&mut self, bundle: Bundle) -> Option<Bundle> {
        self.waiting = None;
        let Some(given) = &self.given else { return Some(bundle) };
        if given.fingerprint() == bundle.fingerprint() {
            info!(serial = bundle.serial(), "serving certificate is back as it was");
            return None;
        }
        let now = (self.clock)();
        let Err(error) = self.trust.judge(Some(&bundle), now) else { return Some(bundle) };
        if self.trust.judge(Some(given), now).is_err() {
            return Some(bundle);
        }
        warn!(serial = bundle.serial(), %error, "serving certificate held back until it is trusted");
        self.metrics.refuse(Refused::Untrusted);
        self.waiting = Some(Waiting { bundle, trusted: None });
        None
    }

    /// The bundle that waits, if it need not any longer.
    fn look(&mut self) -> Option<Bundle> {
        let waiting = self.waiting.as_mut()?;
        let now = (self.clock)();
        if self.trust.judge(self.given.as_ref(), now).is_ok() {
            if self.trust.judge(Some(&waiting.bundle), now).is_err() {
                waiting.trusted = None;
                return None;
            }
            // The API servers learn of a change one after another.
            if waiting.trusted.get_or_insert_with(Instant::now).elapsed() < SETTLE {
                return None;
            }
        }
        self.waiting.take().map(|waiting| waiting.bundle)
    }
}

impl<S: CertSource> CertSource for TrustFirst<S> {
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
