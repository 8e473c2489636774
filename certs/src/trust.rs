//! What the API server trusts, and whether that is what is served.

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

/// What is known of our `MutatingWebhookConfiguration`. Kept up to date by whoever reads it: [`crate::observe`], or the
/// self-managed source. What was read last counts while the API server is away.
#[derive(Debug)]
pub struct Trust {
    name: String,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: Seen,
    /// What stands in the way of a certificate, or of reading the configuration.
    trouble: Option<String>,
}

#[derive(Debug, Default)]
enum Seen {
    #[default]
    NotYet,
    Missing,
    Webhooks(Vec<Caller>),
}

/// One webhook: by which name it is called, and which authorities may vouch for that.
#[derive(Debug)]
struct Caller {
    webhook: String,
    host: Option<ServerName<'static>>,
    bundle: CaBundle,
}

/// Why the API server would not accept what is served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// There is nothing to serve yet.
    #[error("there is no certificate to serve yet{}", because(.0.as_deref()))]
    NothingServed(Option<String>),
    /// The configuration was not read yet.
    #[error("the webhook configuration {name} was not read yet{}", because(.trouble.as_deref()))]
    Unknown {
        /// Its name.
        name: String,
        /// What stands in the way.
        trouble: Option<String>,
    },
    /// The configuration does not exist.
    #[error("the webhook configuration {name} does not exist")]
    Missing {
        /// Its name.
        name: String,
    },
    /// The configuration has no webhooks in it.
    #[error("the webhook configuration {name} has no webhooks")]
    NoWebhooks {
        /// Its name.
        name: String,
    },
    /// A caBundle is empty.
    #[error("webhook {webhook} has no caBundle")]
    NoBundle {
        /// The webhook's name.
        webhook: String,
    },
    /// A caBundle does not verify the certificate.
    #[error("the caBundle of webhook {webhook} does not verify the certificate with serial {serial}")]
    Untrusted {
        /// The webhook's name.
        webhook: String,
        /// The leaf's.
        serial: String,
    },
    /// The certificate is for other names.
    #[error("webhook {webhook} is called by another name: {error}")]
    Name {
        /// The webhook's name.
        webhook: String,
        /// What does not fit.
        error: BundleError,
    },
}

impl Trust {
    /// Nothing is known yet of the configuration of this name.
    pub fn new(name: impl Into<String>, metrics: Metrics) -> Self {
        Self { name: name.into(), metrics, state: Mutex::default() }
    }

    /// Whether every webhook of the configuration would accept what is served. Answers at once.
    pub fn check(&self, served: Option<&Bundle>, now: Timestamp) -> Result<(), TrustError> {
        let checked = self.judge(served, now);
        self.metrics.trusted(checked.is_ok());
        checked
    }

    /// The same, without telling the metrics.
    pub(crate) fn judge(&self, served: Option<&Bundle>, now: Timestamp) -> Result<(), TrustError> {
        let state = self.state();
        let name = || self.name.clone();
        let callers = match &state.seen {
            Seen::NotYet => return Err(TrustError::Unknown { name: name(), trouble: state.trouble.clone() }),
            Seen::Missing => return Err(TrustError::Missing { name: name() }),
            Seen::Webhooks(callers) if callers.is_empty() => return Err(TrustError::NoWebhooks { name: name() }),
            Seen::Webhooks(callers) => callers,
        };
        let served = served.ok_or_else(|| TrustError::NothingServed(state.trouble.clone()))?;
        callers.iter().try_for_each(|caller| caller.check(served, now))
    }

    /// The configuration was read. `None`: there is none.
    pub(crate) fn read(&self, configuration: Option<&Configuration>) {
        let seen = match configuration {
            None => Seen::Missing,
            Some(configuration) => Seen::Webhooks(
                configuration
                    .webhooks
                    .iter()
                    .flatten()
                    .map(|webhook| Caller {
                        webhook: webhook.name.clone(),
                        host: host(&webhook.client_config),
                        bundle: bundle(&webhook.client_config),
                    })
                    .collect(),
            ),
        };
        self.state().seen = seen;
    }

    /// What stands in the way now; `None`: nothing.
    pub(crate) fn trouble(&self, trouble: Option<String>) {
        self.state().trouble = trouble;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller {
    fn check(&self, served: &Bundle, now: Timestamp) -> Result<(), TrustError> {
        let webhook = || self.webhook.clone();
        let authorities = self.bundle.certificates();
        if authorities.is_empty() {
            return Err(TrustError::NoBundle { webhook: webhook() });
        }
        if !served.is_trusted_by(authorities, now) {
            return Err(TrustError::Untrusted { webhook: webhook(), serial: served.serial().to_owned() });
        }
        // A host that is no name is the API server's to refuse.
        let Some(host) = &self.host else { return Ok(()) };
        served.check_name(host).map_err(|error| TrustError::Name { webhook: webhook(), error })
    }
}

/// The caBundle of a webhook.
pub(crate) fn bundle(client: &ClientConfig) -> CaBundle {
    client.ca_bundle.as_ref().map(|pem| CaBundle::parse(&pem.0)).unwrap_or_default()
}

/// The name that the API server asks for.
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
