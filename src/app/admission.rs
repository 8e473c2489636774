//! The webhook: its certificate, its server and their readiness.

mod drain;

use std::{sync::Arc, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use logstream_certs::{self as certs, CertSource, Trust, provided, self_managed};
use logstream_webhook as webhook;
use tokio_util::sync::CancellationToken;

use self::drain::LateRegistrations;
pub(super) use self::drain::linger;
use super::AppError;
use crate::{
    config::{CertMode, Webhook},
    registry::Registry,
    runtime::{Clock, Readiness, Supervisor, server::Server},
};

/// Dependencies of the webhook.
pub(super) struct Admission {
    pub(super) client: kube::Client,
    pub(super) registry: Arc<Registry>,
    pub(super) policy: webhook::Policy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) webhook: webhook::Metrics,
    pub(super) certs: certs::Metrics,
    /// Grace period of the shutdown.
    pub(super) grace: Duration,
    /// Labels and owner of the certificate's Secret.
    pub(super) owned: ObjectMeta,
}

impl Admission {
    /// Binds the port, then starts the tasks that serve reviews and renew the certificate.
    ///
    /// On shutdown the webhook answers for some more seconds, because the API server may keep using its address; the
    /// certificate's tasks end after it. The returned token is cancelled when the webhook has ended.
    pub(super) async fn start(
        self,
        settings: &Webhook,
        readiness: &Readiness,
        supervisor: &mut Supervisor,
    ) -> Result<CancellationToken, AppError> {
        let Self { client, registry, policy, clock, webhook: webhook_metrics, certs: metrics, grace, owned } = self;
        let resolver = Arc::new(certs::Resolver::new());
        let clients = clients(settings, &metrics).await?;
        let tls = certs::server_config(resolver.clone(), clients.as_ref().map(certs::ClientCaFile::verifier))?;
        let registrar = Arc::new(LateRegistrations::new(registry, supervisor.token()));
        let router = webhook::router(registrar.clone(), policy, webhook_metrics.clone(), clock.clone());
        let server = Server::new("webhook", router, webhook_metrics.connections).tls(Arc::new(tls));
        let server = server.limits(drain::limits(grace)).bind("--webhook-addr", settings.address).await?;
        let mut companions = Companions { supervisor, served: CancellationToken::new() };

        let trust = |name: &String| Arc::new(Trust::new(name, metrics.clone()));
        match &settings.certificate {
            CertMode::SelfManaged(kept) => {
                let trust = trust(&kept.configuration);
                add_probes(readiness, &resolver, Some(&trust), &clock);
                let source = self_managed::Source::new(&client, kept.clone(), owned, clock, metrics.clone(), trust);
                companions.certificate(resolver, source, metrics);
            }
            CertMode::Mounted { directory, configuration, names } => {
                let trust = configuration.as_ref().map(trust);
                add_probes(readiness, &resolver, trust.as_ref(), &clock);
                let (files, names) = (provided::Files::in_directory(directory), names.clone());
                let source = provided::Source::new(files, names, provided::INTERVAL, clock.clone(), metrics.clone());
                if let (Some(name), Some(trust)) = (configuration.clone(), trust) {
                    let source = certs::HoldUntilTrusted::new(source, trust.clone(), clock, metrics.clone());
                    companions.certificate(resolver, source, metrics);
                    companions.spawn("trust", async move { certs::watch_ca_bundle(client, &name, trust).await });
                } else {
                    companions.certificate(resolver, source, metrics);
                }
            }
        }
        if let Some(clients) = clients {
            companions.spawn("client CA", clients.keep());
        }
        let Companions { supervisor, served } = companions;
        let (stop, until_served) = (supervisor.token(), served.clone().drop_guard());
        supervisor.spawn("webhook", async move {
            let ended = server.run(stop.cancelled_owned()).await;
            registrar.log();
            drop(until_served);
            ended
        });
        Ok(served)
    }
}

/// Starts tasks that run until the webhook has ended.
struct Companions<'a> {
    supervisor: &'a mut Supervisor,
    served: CancellationToken,
}

impl Companions<'_> {
    fn spawn(&mut self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let (stop, served) = (self.supervisor.token(), self.served.clone());
        self.supervisor.spawn(name, async move {
            let _ = served.run_until_cancelled(work).await;
            // If the webhook fails, its own task reports that.
            stop.cancelled().await;
        });
    }

    /// Feeds the resolver. A source that ends leaves its last certificate.
    fn certificate(
        &mut self,
        resolver: Arc<certs::Resolver>,
        source: impl CertSource + 'static,
        metrics: certs::Metrics,
    ) {
        let served = self.served.clone();
        self.spawn("certificate", async move {
            certs::serve_from(resolver, source, metrics, served.clone().cancelled_owned()).await;
            served.cancelled().await;
        });
    }
}

async fn clients(settings: &Webhook, metrics: &certs::Metrics) -> Result<Option<certs::ClientCaFile>, AppError> {
    let Some(path) = settings.client_ca.clone() else { return Ok(None) };
    Ok(Some(certs::ClientCaFile::open(path, metrics.clone()).await?))
}

/// Adds readiness probes: a valid certificate, and, if the webhook configuration is known, the API server's trust in
/// it.
fn add_probes(
    readiness: &Readiness,
    resolver: &Arc<certs::Resolver>,
    trust: Option<&Arc<Trust>>,
    clock: &Arc<dyn Clock>,
) {
    let (serving, now) = (resolver.clone(), clock.clone());
    readiness.probe("certificate", move || match serving.current() {
        None => Err("there is none to serve yet".into()),
        Some(bundle) => bundle.check_time(now.now()).map_err(|error| error.to_string().into()),
    });
    if let Some(trust) = trust.cloned() {
        let (serving, now) = (resolver.clone(), clock.clone());
        readiness.probe("trust", move || {
            let checked = trust.check(serving.current().as_deref(), now.now());
            checked.map_err(|error| error.to_string().into())
        });
    }
}
