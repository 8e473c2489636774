//! Compares the caBundle of the webhook configuration with the certificate that is served.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Uri;
use jiff::Timestamp;
use rustls::pki_types::ServerName;

use crate::{
    api::{ClientConfig, Configuration},
    bundle::{Bundle, BundleError},
    ca::CaBundle,
    metrics::Metrics,
};

#[cfg(test)]
mod tests;

/// Last known state of our `MutatingWebhookConfiguration`, updated by [`crate::watch_ca_bundle`] or the self-managed
/// source. Stays valid while the API server is unreachable.
#[derive(Debug)]
pub struct Trust {
    name: String,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: Seen,
    /// Error that prevents issuing a certificate or reading the configuration.
    trouble: Option<String>,
}

#[derive(Debug, Default)]
enum Seen {
    #[default]
    NotYet,
    Missing,
    Webhooks(Vec<CalledWebhook>),
}

/// One webhook of the configuration, as the API server calls it.
#[derive(Debug)]
struct CalledWebhook {
    webhook: String,
    host: Option<ServerName<'static>>,
    bundle: CaBundle,
}

/// The API server would not accept the served certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No certificate is served yet.
    #[error("no certificate is served yet{}", because(.0.as_deref()))]
    NothingServed(Option<String>),
    /// The configuration has not been read yet.
    #[error("the webhook configuration {name} has not been read yet{}", because(.trouble.as_deref()))]
    Unknown {
        /// Name of the configuration.
        name: String,
        /// The error, if reading failed.
        trouble: Option<String>,
    },
    /// The configuration does not exist.
    #[error("the webhook configuration {name} does not exist")]
    Missing {
        /// Name of the configuration.
        name: String,
    },
    /// The configuration has no webhooks.
    #[error("the webhook configuration {name} has no webhooks")]
    NoWebhooks {
        /// Name of the configuration.
        name: String,
    },
    /// The caBundle is empty.
    #[error("webhook {webhook} has no caBundle")]
    NoBundle {
        /// Name of the webhook.
        webhook: String,
    },
    /// The caBundle does not verify the certificate.
    #[error("the caBundle of webhook {webhook} does not verify the certificate with serial {serial}")]
    Untrusted {
        /// Name of the webhook.
        webhook: String,
        /// Serial number of the serving certificate.
        serial: String,
    },
    /// The certificate does not cover the name.
    #[error("the certificate does not cover the name of webhook {webhook}: {error}")]
    Name {
        /// Name of the webhook.
        webhook: String,
        /// The mismatch.
        error: BundleError,
    },
}

impl Trust {
    /// Creates the state for the configuration of this name, not read yet.
    pub fn new(name: impl Into<String>, metrics: Metrics) -> Self {
        Self { name: name.into(), metrics, state: Mutex::default() }
    }

    /// Checks that every webhook of the configuration accepts the served certificate, and sets the metric.
    pub fn check(&self, served: Option<&Bundle>, now: Timestamp) -> Result<(), TrustError> {
        let checked = self.verify(served, now);
        self.metrics.trusted(checked.is_ok());
        checked
    }

    /// Like [`Trust::check`], without setting the metric.
    pub(crate) fn verify(&self, served: Option<&Bundle>, now: Timestamp) -> Result<(), TrustError> {
        let state = self.state();
        let name = || self.name.clone();
        let webhooks = match &state.seen {
            Seen::NotYet => return Err(TrustError::Unknown { name: name(), trouble: state.trouble.clone() }),
            Seen::Missing => return Err(TrustError::Missing { name: name() }),
            Seen::Webhooks(webhooks) if webhooks.is_empty() => return Err(TrustError::NoWebhooks { name: name() }),
            Seen::Webhooks(webhooks) => webhooks,
        };
        let served = served.ok_or_else(|| TrustError::NothingServed(state.trouble.clone()))?;
        webhooks.iter().try_for_each(|webhook| webhook.check(served, now))
    }

    /// Stores the configuration as read; `None` if it does not exist.
    pub(crate) fn read(&self, configuration: Option<&Configuration>) {
        let seen = match configuration {
            None => Seen::Missing,
            Some(configuration) => Seen::Webhooks(
                configuration
                    .webhooks
                    .iter()
                    .flatten()
                    .map(|webhook| CalledWebhook {
                        webhook: webhook.name.clone(),
                        host: host(&webhook.client_config),
                        bundle: bundle(&webhook.client_config),
                    })
                    .collect(),
            ),
        };
        self.state().seen = seen;
    }

    /// Stores the current error; `None` clears it.
    pub(crate) fn trouble(&self, trouble: Option<String>) {
        self.state().trouble = trouble;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CalledWebhook {
    fn check(&self, served: &Bundle, now: Timestamp) -> Result<(), TrustError> {
        let webhook = || self.webhook.clone();
        let cas = self.bundle.certificates();
        if cas.is_empty() {
            return Err(TrustError::NoBundle { webhook: webhook() });
        }
        if !served.is_trusted_by(cas, now) {
            return Err(TrustError::Untrusted { webhook: webhook(), serial: served.serial().to_owned() });
        }
        // The API server itself rejects a host that is not a valid name.
        let Some(host) = &self.host else { return Ok(()) };
        served.check_name(host).map_err(|error| TrustError::Name { webhook: webhook(), error })
    }
}

/// Parses the caBundle of a webhook.
pub(crate) fn bundle(client: &ClientConfig) -> CaBundle {
    client.ca_bundle.as_ref().map(|pem| CaBundle::parse(&pem.0)).unwrap_or_default()
}

/// Server name the API server uses.
fn host(client: &ClientConfig) -> Option<ServerName<'static>> {
    if let Some(service) = &client.service {
        return ServerName::try_from(format!("{}.{}.svc", service.name, service.namespace)).ok();
    }
    let url: Uri = client.url.as_deref()?.parse().ok()?;
    let host = url.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    ServerName::try_from(host).ok()
}

fn because(trouble: Option<&str>) -> String {
    trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default()
}
