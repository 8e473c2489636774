//! The webhook half: certificate, server, and what readiness says of them.

use std::sync::Arc;

use logstream_certs::{self as certs, CertSource, Trust, provided, self_managed};
use logstream_webhook as webhook;

use super::AppError;
use crate::{
    config::{CertMode, SelfManaged, Webhook},
    registry::Registry,
    runtime::{Clock, Readiness, Supervisor},
};

/// What it needs of the other parts.
pub(super) struct Admission {
    pub(super) client: kube::Client,
    pub(super) registry: Arc<Registry>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) webhook: webhook::Metrics,
    pub(super) certs: certs::Metrics,
}

impl Admission {
    /// Takes the port, then starts to keep the certificate and to serve.
    pub(super) async fn start(
        self,
        settings: &Webhook,
        readiness: &Readiness,
        supervisor: &mut Supervisor,
    ) -> Result<(), AppError> {
        let Self { client, registry, clock, webhook: webhook_metrics, certs: metrics } = self;
        let now: certs::Clock = Arc::new(move || clock.now());
        let resolver = Arc::new(certs::Resolver::new());
        let tls = certs::server_config(resolver.clone(), client_ca(settings).await?)?;
        let router = webhook::router(registry, webhook_metrics.clone(), now.clone());
        let server = webhook::server::Server::new(Arc::new(tls), router, webhook_metrics);
        let server = server.bind(settings.address).await?;

        let trust = |name: &String| Arc::new(Trust::new(name, metrics.clone()));
        match &settings.certificate {
            CertMode::SelfManaged(kept) => {
                let trust = trust(&kept.configuration);
                tell(readiness, &resolver, Some(&trust), &now);
                let source = self_managed::Source::new(&client, kept_by(settings, kept), now, metrics.clone(), trust);
                keep(supervisor, resolver, source, metrics);
            }
            CertMode::Mounted { folder, configuration } => {
                let trust = configuration.as_ref().map(trust);
                tell(readiness, &resolver, trust.as_ref(), &now);
                let (files, names) = (provided::Files::in_folder(folder), settings.names.clone());
                let source = provided::Source::new(files, names, provided::INTERVAL, now, metrics.clone());
                keep(supervisor, resolver, source, metrics);
                if let (Some(name), Some(trust)) = (configuration.clone(), trust) {
                    let token = supervisor.token();
                    supervisor.spawn("trust", async move {
                        let _ = token.run_until_cancelled(certs::observe(client, &name, trust)).await;
                    });
                }
            }
        }
        supervisor.spawn("webhook", server.run(supervisor.token().cancelled_owned()));
        Ok(())
    }
}

fn kept_by(settings: &Webhook, kept: &SelfManaged) -> self_managed::Settings {
    self_managed::Settings {
        namespace: kept.namespace.clone(),
        secret: kept.secret.clone(),
        configuration: kept.configuration.clone(),
        names: settings.names.clone(),
        ca_lifetime: kept.ca_lifetime,
        leaf_lifetime: kept.cert_lifetime,
    }
}

async fn client_ca(settings: &Webhook) -> Result<Option<certs::ClientCa>, AppError> {
    let Some(path) = &settings.client_ca else { return Ok(None) };
    let pem = tokio::fs::read(path).await.map_err(|error| AppError::ClientCaFile(path.clone(), error))?;
    Ok(Some(certs::ClientCa::parse(&pem)?))
}

/// Whether there is a valid certificate, and where it can be known, whether the API server trusts it.
fn tell(readiness: &Readiness, resolver: &Arc<certs::Resolver>, trust: Option<&Arc<Trust>>, now: &certs::Clock) {
    let (serving, clock) = (resolver.clone(), now.clone());
    readiness.probe("certificate", move || match serving.current() {
        None => Err("there is none to serve yet".into()),
        Some(bundle) => bundle.check_time(clock()).map_err(|error| error.to_string().into()),
    });
    if let Some(trust) = trust.cloned() {
        let (serving, clock) = (resolver.clone(), now.clone());
        readiness.probe("trust", move || {
            let checked = trust.check(serving.current().as_deref(), clock());
            checked.map_err(|error| error.to_string().into())
        });
    }
}

/// Feeds the resolver until the end. A source that ends leaves its last certificate.
fn keep(
    supervisor: &mut Supervisor,
    resolver: Arc<certs::Resolver>,
    source: impl CertSource + 'static,
    metrics: certs::Metrics,
) {
    let stop = supervisor.token();
    supervisor.spawn("certificate", async move {
        certs::keep(resolver, source, metrics, stop.clone().cancelled_owned()).await;
        stop.cancelled().await;
    });
}
