//! Doing what the plan says, over the Kubernetes API.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::{
    Settings,
    allowance::Allowance,
    plan::{Action, Ca, Facts, Next, Policy, Purpose, Served, next},
    stored::{self, COMMON_NAME, Content, Nonsense},
};
use crate::{
    api::{ApiError, CONFIGURATIONS, Configuration, Object, Secret, Watch, secret_path},
    bundle::Bundle,
    ca::{CaCertificate, CaId},
    issue::{Authority, IssueError},
    metrics::{Contended, Issuance, Metrics},
    observe::{UNWATCHED, WATCHED},
    source::{CertSource, Clock},
    trust::{self, Trust},
};

/// The first pause after the API server said no, or after another was faster.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The certificate that all replicas agree on.
pub struct Source {
    secret: Object,
    configuration: Object,
    changes: (Watch, Watch),
    settings: Settings,
    policy: Policy,
    clock: Clock,
    metrics: Metrics,
    trust: Arc<Trust>,
    trusted_since: BTreeMap<CaId, Timestamp>,
    served: Option<(Served, CaCertificate)>,
    /// When everything is looked at next, whatever the watches say.
    next_look: Instant,
    pause: Duration,
    allowance: Allowance,
    /// What stands in the way, so that it is told once.
    trouble: Option<String>,
    /// What was refused of the Secret, so that it is told once.
    refused: Vec<String>,
    /// True after the one attempt to set the owner of a Secret that exists.
    adopted: bool,
}

/// Why a step was not done. It is tried again.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// What was read, and what the plan has to know of it.
struct Seen {
    configuration: Option<Configuration>,
    secret: Option<(Secret, Content)>,
}

impl Source {
    /// A source for one replica. It tells `trust` what it reads of the webhook configuration.
    pub fn new(client: &Client, settings: Settings, clock: Clock, metrics: Metrics, trust: Arc<Trust>) -> Self {
        let secret = Object::new(client.clone(), secret_path(&settings.namespace), &settings.secret);
        let configuration = Object::new(client.clone(), CONFIGURATIONS, &settings.configuration);
        let changes = (Watch::new(secret.clone()), Watch::new(configuration.clone()));
        let policy = settings.policy();
        Self {
            secret,
            configuration,
            changes,
            settings,
            policy,
            clock,
            metrics,
            trust,
            trusted_since: BTreeMap::new(),
            served: None,
            next_look: Instant::now(),
            pause: SHORTEST_PAUSE,
            allowance: Allowance::new(),
            trouble: None,
            refused: Vec::new(),
            adopted: false,
        }
    }

    /// Waits until something may have to be done.
    async fn wait(&mut self) {
        self.allowance.wait().await;
        let (secret, configuration) = &mut self.changes;
        tokio::select! {
            () = sleep_until(self.next_look) => {}
            () = secret.changed() => {}
            () = configuration.changed() => {}
        }
    }

    /// Does one thing, if there is one to do; a bundle if that is to serve it.
    async fn step(&mut self) -> Result<Option<Bundle>, StepError> {
        // In this order: see the plan.
        let configuration = self.configuration.get().await?;
        let secret = self.secret.get::<Secret>().await?;
        if let Some(secret) = &secret {
            self.adopt(secret).await;
        }
        let now = (self.clock)();
        self.trust.read(configuration.as_ref());
        let secret = secret.map(|secret| {
            let (content, nonsense) = Content::read(secret.data.as_ref().unwrap_or(&BTreeMap::new()), now);
            self.refuse(&nonsense);
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
                let most = if self.changes.0.stands() && self.changes.1.stands() { WATCHED } else { UNWATCHED };
                let until = until.and_then(|until| until.duration_since(now).try_into().ok());
                self.next_look = Instant::now() + until.unwrap_or(most).min(most);
                Ok(None)
            }
            Next::Do(action) => {
                debug!(?action, "certificate step");
                self.allowance.take();
                let bundle = self.perform(action, &seen, now).await?;
                self.next_look = Instant::now();
                Ok(bundle)
            }
        }
    }

    /// Makes a Secret that exists belong to our owner, once: an earlier process, or one of an earlier Deployment, created
    /// it. A failure is logged only, as the certificate does not depend on it.
    async fn adopt(&mut self, secret: &Secret) {
        if self.adopted || secret.metadata.has_owners_of(&self.settings.owned) {
            return;
        }
        self.adopted = true;
        if let Err(error) = self.secret.make("Secret", &self.settings.owned).await {
            warn!(%error, "owner of the Secret cannot be set, it will not be deleted with the Deployment");
        }
    }

    /// Remembers since when each authority is in every caBundle.
    fn note_trust(&mut self, bundles: Option<&[Vec<Ca>]>, now: Timestamp) {
        let (first, others) = bundles.and_then(<[_]>::split_first).unzip();
        let everywhere =
            |ca: &&Ca| others.unwrap_or_default().iter().all(|bundle| bundle.iter().any(|other| other.id == ca.id));
        let trusted = first.into_iter().flatten().filter(everywhere);
        // A clock that was set back must not make this wait for the past.
        let since = |id: &CaId| self.trusted_since.get(id).copied().filter(|since| *since <= now).unwrap_or(now);
        self.trusted_since = trusted.map(|ca| (ca.id, since(&ca.id))).collect();
    }

    async fn perform(&mut self, action: Action, seen: &Seen, now: Timestamp) -> Result<Option<Bundle>, StepError> {
        match action {
            Action::MakeSecret => {
                info!(secret = self.settings.secret, "the Secret does not exist, it is made");
                self.secret.make("Secret", &self.settings.owned).await?;
            }
            Action::Found { keep } => {
                let authority = Authority::new(COMMON_NAME, now, self.settings.ca_lifetime)?;
                let others = self.certificates(seen, &keep);
                self.write(seen, stored::authorities(&authority, &others)).await?;
                info!("a new certificate authority is in the Secret");
                self.metrics.issued(Issuance::Ca);
            }
            Action::Prune { keep } => {
                let kept = self.certificates(seen, &keep);
                self.write(seen, stored::fewer(&kept)).await?;
            }
            Action::Issue => {
                let Some((_, content)) = &seen.secret else { return Ok(None) };
                let (Some(signer), Some(ca)) = (&content.signer, content.authorities.first()) else { return Ok(None) };
                // Not beyond its authority's end: the API server would not accept it then.
                let most = Duration::try_from(ca.not_after().duration_since(now)).unwrap_or_default();
                let issued = signer.issue(&self.names(content), now, self.settings.leaf_lifetime.min(most))?;
                self.write(seen, stored::leaf(&issued)).await?;
                info!("a new serving certificate is in the Secret");
                self.metrics.issued(Issuance::Leaf);
            }
            Action::Trust { wanted, purpose } => self.patch(seen, &wanted, purpose).await?,
            Action::Serve => return Ok(self.serve(seen)),
        }
        Ok(None)
    }

    /// The names of a new leaf: ours, and those of the old one where it lacked some of ours. Replicas with other
    /// settings, as during an upgrade, would otherwise take turns.
    fn names(&self, content: &Content) -> Vec<rustls::pki_types::ServerName<'static>> {
        let mut names = self.settings.names.clone();
        let lacking = content.leaf.iter().filter(|(old, _)| names.iter().any(|name| old.check_name(name).is_err()));
        let old: Vec<_> =
            lacking.flat_map(|(old, _)| old.covered()).filter_map(|name| name.clone().try_into().ok()).collect();
        names.extend(old);
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    fn serve(&mut self, seen: &Seen) -> Option<Bundle> {
        let (_, content) = seen.secret.as_ref()?;
        let (bundle, issuer) = content.leaf.as_ref()?;
        let ca = content.authorities.iter().find(|ca| ca.id() == *issuer)?;
        let fingerprint = bundle.fingerprint().to_owned();
        let served = Served { fingerprint, not_after: bundle.not_after(), issuer: stored::ca(ca) };
        self.served = Some((served, ca.clone()));
        self.metrics.authority(ca);
        Some(bundle.clone())
    }

    /// Writes into the Secret, if it is still as it was read.
    async fn write(&mut self, seen: &Seen, data: Value) -> Result<(), ApiError> {
        let version = seen.secret.as_ref().map(|(secret, _)| secret.metadata.resource_version.clone());
        let patch = json!({ "metadata": { "resourceVersion": version }, "data": data });
        self.secret.patch_merge(&patch).await.inspect_err(|error| self.count(error, Contended::Secret))
    }

    /// Writes the caBundles, if the configuration is still as it was read.
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
        patched.inspect_err(|error| self.count(error, Contended::Configuration))?;
        self.metrics.patched(purpose);
        let configuration = &self.settings.configuration;
        match purpose {
            Purpose::Rotation => info!(configuration, "the webhook configuration is told of a new authority"),
            Purpose::Repair => warn!(configuration, "an authority in use was missing in the caBundle, it is back"),
            Purpose::Removal => info!(configuration, "authorities that are over are taken out of the caBundle"),
        }
        Ok(())
    }

    /// The certificates of authorities, in this order, from wherever they were seen.
    fn certificates(&self, seen: &Seen, ids: &[CaId]) -> Vec<CaCertificate> {
        let stored = seen.secret.iter().flat_map(|(_, content)| content.authorities.iter().cloned());
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

    /// Says what of the Secret is of no use, once.
    fn refuse(&mut self, nonsense: &[Nonsense]) {
        let refused: Vec<String> = nonsense.iter().map(ToString::to_string).collect();
        for (error, _) in nonsense.iter().zip(&refused).filter(|(_, text)| !self.refused.contains(text)) {
            let secret = &self.settings.secret;
            warn!(%error, secret, kept = self.served.is_some(), "the Secret's content is refused and made again");
            self.metrics.refuse(error.label());
        }
        self.refused = refused;
    }

    /// After a step that was not done: says why, once, and makes a pause.
    fn failed(&mut self, error: &StepError) {
        self.next_look = Instant::now() + self.pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        if matches!(error, StepError::Api(ApiError::Conflict { .. })) {
            debug!(%error, "another replica was faster");
            return;
        }
        let text = error.to_string();
        if self.trouble.as_ref() != Some(&text) {
            warn!(%error, "the certificate cannot be kept");
            self.trust.trouble(Some(text.clone()));
            self.trouble = Some(text);
        }
    }

    fn succeeded(&mut self) {
        self.pause = SHORTEST_PAUSE;
        if self.trouble.take().is_some() {
            info!("the certificate can be kept again");
            self.trust.trouble(None);
        }
    }
}

impl Seen {
    fn bundles(&self) -> Option<Vec<Vec<Ca>>> {
        let webhooks = self.configuration.as_ref()?.webhooks.iter().flatten();
        let authorities = |ca: &CaCertificate| stored::ca(ca);
        Some(
            webhooks
                .map(|webhook| trust::bundle(&webhook.client_config).certificates().iter().map(authorities).collect())
                .collect(),
        )
    }
}

impl CertSource for Source {
    /// Never ends: it renews what it gave, and keeps the webhook configuration right meanwhile.
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
