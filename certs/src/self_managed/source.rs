//! Executes the plan over the Kubernetes API.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Client;
use logstream_runtime::{Backoff, Clock, LogOnce};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::{
    Settings,
    plan::{Action, Ca, Facts, Next, Policy, Served, next},
    stored::{self, COMMON_NAME, Content, InvalidPart},
    write_limit::WriteLimit,
};
use crate::{
    api::{ApiError, CONFIGURATIONS, Configuration, Object, Secret, Watch, secret_path},
    bundle::Bundle,
    ca::{CaCertificate, CaId},
    ca_bundle_watch::{POLL_INTERVAL, RESYNC_INTERVAL},
    issue::{IssueError, SigningCa},
    labels::{Contended, Issuance, Purpose},
    metrics::Metrics,
    source::CertSource,
    trust::{self, Trust},
};

/// Upper bound of the first pause after a failed or conflicting request.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Upper bound of all pauses between retries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The self-managed certificate, shared by all replicas.
pub struct Source {
    secret: Object,
    configuration: Object,
    changes: (Watch, Watch),
    settings: Settings,
    /// Labels and owner references of the Secret.
    owned: ObjectMeta,
    policy: Policy,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    trust: Arc<Trust>,
    trusted_since: BTreeMap<CaId, Timestamp>,
    served: Option<(Served, CaCertificate)>,
    /// Time of the next full read, regardless of the watches.
    next_look: Instant,
    backoff: Backoff,
    write_limit: WriteLimit,
    /// The error of the last step.
    trouble: LogOnce<String>,
    /// Invalid parts of the Secret that were logged already.
    refused: Vec<String>,
    /// True after the single attempt to set the owner of an existing Secret.
    adopted: bool,
}

/// A step failed. Transient: it is retried.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// The objects as read for one step.
struct Seen {
    configuration: Option<Configuration>,
    secret: Option<(Secret, Content)>,
}

impl Source {
    /// Creates the source of one replica. It updates `trust` with the webhook configuration it reads.
    /// The Secret gets the labels and owner references of `owned`.
    pub fn new(
        client: &Client,
        settings: Settings,
        owned: ObjectMeta,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        trust: Arc<Trust>,
    ) -> Self {
        let secret = Object::new(client.clone(), secret_path(&settings.namespace), &settings.secret);
        let configuration = Object::new(client.clone(), CONFIGURATIONS, &settings.configuration);
        let changes = (Watch::new(secret.clone()), Watch::new(configuration.clone()));
        let policy = settings.policy();
        Self {
            secret,
            configuration,
            changes,
            settings,
            owned,
            policy,
            clock,
            metrics,
            trust,
            trusted_since: BTreeMap::new(),
            served: None,
            next_look: Instant::now(),
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            write_limit: WriteLimit::new(),
            trouble: LogOnce::default(),
            refused: Vec::new(),
            adopted: false,
        }
    }

    /// Waits until a step may be due.
    async fn wait(&mut self) {
        self.write_limit.wait().await;
        let (secret, configuration) = &mut self.changes;
        tokio::select! {
            () = sleep_until(self.next_look) => {}
            () = secret.changed() => {}
            () = configuration.changed() => {}
        }
    }

    /// Executes one action if one is due. Returns a bundle if the action is to serve it.
    async fn step(&mut self) -> Result<Option<Bundle>, StepError> {
        // The plan relies on this order.
        let configuration = self.configuration.get().await?;
        let secret = self.secret.get::<Secret>().await?;
        if let Some(secret) = &secret {
            self.adopt(secret).await;
        }
        let now = self.clock.now();
        self.trust.read(configuration.as_ref());
        let secret = secret.map(|secret| {
            let (content, invalid) = Content::read(secret.data.as_ref().unwrap_or(&BTreeMap::new()), now);
            self.refuse(&invalid);
            (secret, content)
        });
        let seen = Seen { configuration, secret };
        let bundles = seen.bundles();
        self.note_trust(bundles.as_deref(), now);
        let stored = seen.secret.as_ref().map(|(_, content)| content.facts(&self.settings.names));
        let facts = Facts {
            stored: stored.as_ref(),
            bundles: bundles.as_deref(),
            trusted_since: &self.trusted_since,
            served: self.served.as_ref().map(|(served, _)| served),
        };
        match next(&facts, &self.policy, now) {
            Next::Wait(until) => {
                let most = if self.changes.0.is_connected() && self.changes.1.is_connected() {
                    RESYNC_INTERVAL
                } else {
                    POLL_INTERVAL
                };
                let until = until.and_then(|until| until.duration_since(now).try_into().ok());
                self.next_look = Instant::now() + until.unwrap_or(most).min(most);
                Ok(None)
            }
            Next::Do(action) => {
                debug!(?action, "certificate step");
                self.write_limit.take();
                let bundle = self.perform(action, &seen, now).await?;
                self.next_look = Instant::now();
                Ok(bundle)
            }
        }
    }

    /// Sets our owner on an existing Secret, once. The Secret was created by an earlier process, possibly of an earlier
    /// Deployment. A failure is only logged, because the certificate does not depend on it.
    async fn adopt(&mut self, secret: &Secret) {
        if self.adopted || secret.metadata.has_owners_of(&self.owned) {
            return;
        }
        self.adopted = true;
        if let Err(error) = self.secret.apply_metadata("Secret", &self.owned).await {
            warn!(%error, "owner of the Secret cannot be set, it will not be deleted with the Deployment");
        }
    }

    /// Records since when each CA has been in every caBundle.
    fn note_trust(&mut self, bundles: Option<&[Vec<Ca>]>, now: Timestamp) {
        let (first, others) = bundles.and_then(<[_]>::split_first).unzip();
        let everywhere =
            |ca: &&Ca| others.unwrap_or_default().iter().all(|bundle| bundle.iter().any(|other| other.id == ca.id));
        let trusted = first.into_iter().flatten().filter(everywhere);
        // Ignore times in the future: the clock was set back.
        let since = |id: &CaId| self.trusted_since.get(id).copied().filter(|since| *since <= now).unwrap_or(now);
        self.trusted_since = trusted.map(|ca| (ca.id, since(&ca.id))).collect();
    }

    async fn perform(&mut self, action: Action, seen: &Seen, now: Timestamp) -> Result<Option<Bundle>, StepError> {
        match action {
            Action::CreateSecret => {
                info!(secret = self.settings.secret, "creating the certificate Secret");
                self.secret.apply_metadata("Secret", &self.owned).await?;
            }
            Action::CreateCa { keep } => {
                let ca = SigningCa::new(COMMON_NAME, now, self.settings.ca_lifetime)?;
                let others = self.certificates(seen, &keep);
                self.write(seen, stored::cas(&ca, &others)).await?;
                info!("created a new CA");
                self.metrics.issued(Issuance::Ca);
            }
            Action::Prune { keep } => {
                let kept = self.certificates(seen, &keep);
                self.write(seen, stored::fewer(&kept)).await?;
            }
            Action::Issue => {
                let Some((_, content)) = &seen.secret else { return Ok(None) };
                let (Some(signer), Some(ca)) = (&content.signer, content.cas.first()) else { return Ok(None) };
                // Must not outlive the CA: the API server would reject it.
                let most = Duration::try_from(ca.not_after().duration_since(now)).unwrap_or_default();
                let issued = signer.issue(&self.names(content), now, self.settings.cert_lifetime.min(most))?;
                self.write(seen, stored::serving_cert(&issued)).await?;
                info!("issued a new serving certificate");
                self.metrics.issued(Issuance::Serving);
            }
            Action::Trust { wanted, purpose } => self.patch(seen, &wanted, purpose).await?,
            Action::Serve => return Ok(self.serve(seen)),
        }
        Ok(None)
    }

    /// Names of a new serving certificate: ours, plus those of the old one if it lacked some of ours. Otherwise replicas
    /// with different settings, as during an upgrade, would replace each other's certificate.
    fn names(&self, content: &Content) -> Vec<rustls::pki_types::ServerName<'static>> {
        let mut names = self.settings.names.clone();
        let lacking =
            content.serving_cert.iter().filter(|(old, _)| names.iter().any(|name| old.check_name(name).is_err()));
        let old: Vec<_> =
            lacking.flat_map(|(old, _)| old.covered()).filter_map(|name| name.clone().try_into().ok()).collect();
        names.extend(old);
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    fn serve(&mut self, seen: &Seen) -> Option<Bundle> {
        let (_, content) = seen.secret.as_ref()?;
        let (bundle, issuer) = content.serving_cert.as_ref()?;
        let ca = content.cas.iter().find(|ca| ca.id() == *issuer)?;
        let fingerprint = bundle.fingerprint().to_owned();
        let served = Served { fingerprint, not_after: bundle.not_after(), issuer: stored::ca(ca) };
        self.served = Some((served, ca.clone()));
        self.metrics.ca_until(ca.not_after());
        Some(bundle.clone())
    }

    /// Writes to the Secret unless it changed since it was read.
    async fn write(&mut self, seen: &Seen, data: Value) -> Result<(), ApiError> {
        let version = seen.secret.as_ref().map(|(secret, _)| secret.metadata.resource_version.clone());
        let patch = json!({ "metadata": { "resourceVersion": version }, "data": data });
        self.secret.patch_merge(&patch).await.inspect_err(|error| self.count(error, Contended::Secret))
    }

    /// Writes the caBundles unless the configuration changed since it was read.
    async fn patch(&mut self, seen: &Seen, wanted: &[Vec<CaId>], purpose: Purpose) -> Result<(), ApiError> {
        let Some(configuration) = &seen.configuration else { return Ok(()) };
        let webhooks = configuration.webhooks.iter().flatten();
        let bundles: Vec<_> = webhooks
            .zip(wanted)
            .map(|(webhook, wanted)| {
                let old = trust::bundle(&webhook.client_config);
                let same = old.certificates().len() == wanted.len()
                    && old.certificates().iter().all(|ca| wanted.contains(&ca.id()));
                let pem = || self.certificates(seen, wanted).iter().map(CaCertificate::pem).collect::<String>();
                (!same).then(|| ByteString(pem().into_bytes()))
            })
            .collect();
        let patched = self.configuration.patch_json(&configuration.patch(&bundles)).await;
        patched.inspect_err(|error| self.count(error, Contended::WebhookConfiguration))?;
        self.metrics.patched(purpose);
        let configuration = &self.settings.configuration;
        match purpose {
            Purpose::Rotation => info!(configuration, "added new CA to caBundle"),
            Purpose::Repair => warn!(configuration, "restored missing CA in caBundle"),
            Purpose::Removal => info!(configuration, "removed retired CAs from caBundle"),
        }
        Ok(())
    }

    /// Certificates of these CAs, in this order, from any object that holds them.
    fn certificates(&self, seen: &Seen, ids: &[CaId]) -> Vec<CaCertificate> {
        let stored = seen.secret.iter().flat_map(|(_, content)| content.cas.iter().cloned());
        let served = self.served.iter().map(|(_, ca)| ca.clone());
        let webhooks = seen.configuration.iter().flat_map(|configuration| configuration.webhooks.iter().flatten());
        let trusted = webhooks.flat_map(|webhook| trust::bundle(&webhook.client_config).certificates().to_vec());
        let known: BTreeMap<CaId, CaCertificate> =
            stored.chain(served).chain(trusted).map(|ca| (ca.id(), ca)).collect();
        ids.iter().filter_map(|id| known.get(id).cloned()).collect()
    }

    fn count(&self, error: &ApiError, contended: Contended) {
        if matches!(error, ApiError::Conflict { .. }) {
            self.metrics.conflict(contended);
        }
    }

    /// Logs and counts invalid parts of the Secret, each once.
    fn refuse(&mut self, invalid: &[InvalidPart]) {
        let refused: Vec<String> = invalid.iter().map(ToString::to_string).collect();
        for (error, _) in invalid.iter().zip(&refused).filter(|(_, text)| !self.refused.contains(text)) {
            let secret = &self.settings.secret;
            warn!(%error, secret, kept = self.served.is_some(), "replacing invalid content of the certificate Secret");
            self.metrics.refuse(error.label());
        }
        self.refused = refused;
    }

    /// Logs the error once and schedules a retry.
    fn failed(&mut self, error: &StepError) {
        self.next_look = Instant::now() + self.backoff.pause();
        if matches!(error, StepError::Api(ApiError::Conflict { .. })) {
            debug!(%error, "lost a write conflict to another replica");
            return;
        }
        let text = error.to_string();
        if self.trouble.is_new(text.clone()) {
            warn!(%error, "cannot maintain the certificate");
            self.trust.trouble(Some(text));
        }
    }

    fn succeeded(&mut self) {
        self.backoff.reset();
        if self.trouble.end() {
            info!("maintaining the certificate again");
            self.trust.trouble(None);
        }
    }
}

impl Seen {
    fn bundles(&self) -> Option<Vec<Vec<Ca>>> {
        let webhooks = self.configuration.as_ref()?.webhooks.iter().flatten();
        let cas = |ca: &CaCertificate| stored::ca(ca);
        Some(
            webhooks
                .map(|webhook| trust::bundle(&webhook.client_config).certificates().iter().map(cas).collect())
                .collect(),
        )
    }
}

impl CertSource for Source {
    /// Never returns `None`. Renews the certificate and repairs the caBundle while it waits.
    async fn next(&mut self) -> Option<Bundle> {
        loop {
            self.wait().await;
            match self.step().await {
                Ok(bundle) => {
                    self.succeeded();
                    if bundle.is_some() {
                        return bundle;
                    }
                }
                Err(error) => self.failed(&error),
            }
        }
    }
}
