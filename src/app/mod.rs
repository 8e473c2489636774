//! Wiring: connects the parts, and starts and ends them in order.

mod admission;
mod coder_probe;
mod error;
mod metrics;
mod pipeline;
mod policy;
mod watch_task;

use std::{sync::Arc, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::error::AppError;
use self::{
    admission::Admission,
    metrics::Metrics,
    pipeline::{CurrentOutlet, Pipeline},
};
use crate::{
    admin, checkpoint,
    coder::CoderClient,
    config::{Config, Election, Namespaces},
    kubernetes,
    leader::{self, Elector, LeaderGauge, Leadership, Timing, Uptime},
    ownership,
    registry::{self, Registry},
    runtime::{Clock, Heartbeat, Readiness, Signals, Supervisor, SystemClock, heartbeat, shutdown},
    watch::Scopes,
};

/// Runs the program until a signal ends it, or a part of it fails.
///
/// Ports, certificate and kubeconfig are checked before anything is served.
pub async fn run(config: Config) -> Result<(), AppError> {
    let (clock, started): (Arc<dyn Clock>, _) = (Arc::new(SystemClock), Instant::now());
    let mut registered = admin::Metrics::new(env!("CARGO_PKG_VERSION"), clock.now());
    let metrics = Metrics::register(registered.registry());
    let (correlating, delivering) = (Heartbeat::new("correlate"), Heartbeat::new("deliver"));
    let heartbeats = vec![correlating.clone(), delivering.clone()];
    registered.observe(heartbeats.clone());
    let signals = Signals::install().map_err(AppError::Signals)?;
    let client = kubernetes::client(config.cluster.load().await?)?;
    let coder = CoderClient::new(&config.settings.coder_url)?;
    let (elector, leadership) = match &config.election {
        Some(settings) => elector(settings, &clock, metrics.leader),
        None => (None, Leadership::without_election()),
    };
    registered.registry().register_collector(Box::new(LeaderGauge(leadership.clone())));
    let mut supervisor = Supervisor::new(config.settings.shutdown_grace);
    let token = supervisor.token();

    let readiness = Readiness::new();
    readiness.fail_when_cancelled(token.clone());
    // Before readiness is served, because readiness without a check succeeds.
    let check = readiness.check("watch");
    let sources = admin::Sources {
        liveness: supervisor.liveness(),
        heartbeats: heartbeats.clone(),
        readiness: readiness.clone(),
        metrics: Arc::new(registered),
    };
    serve_admin(&config, &sources, &mut supervisor).await?;

    let owned = owned(&config, &client).await;
    let outlet = CurrentOutlet::default();
    let registry = registry(outlet.clone(), clock.clone(), metrics.registry);
    let mut stop_watch = token.clone();
    let mut linger = Duration::ZERO;
    if let Some(settings) = &config.webhook {
        let admission = Admission {
            client: client.clone(),
            registry: registry.clone(),
            policy: policy::of(&config),
            clock: clock.clone(),
            webhook: metrics.webhook,
            certs: metrics.certs,
            grace: config.settings.shutdown_grace,
            owned: owned.clone(),
        };
        let served = admission.start(settings, &readiness, &mut supervisor).await?;
        linger = admission::linger(config.settings.shutdown_grace);
        stop_watch = stop_after(&mut supervisor, served, linger);
    }
    // The Lease is released once the pipeline has ended.
    let done = CancellationToken::new();
    if let (Some(elector), Some(settings)) = (elector, &config.election) {
        let (store, check) = (lease(settings, &client, &owned), readiness.check("leader election"));
        let election = elector.run(store, check, token.clone(), done.clone());
        supervisor.spawn("leader election", election);
    }
    supervisor.spawn("heartbeat", heartbeat::watch(heartbeats, readiness.check("pipeline"), token.clone()));
    supervisor
        .spawn("coder probe", coder_probe::probe(coder.clone(), config.settings.coder_url.clone(), token.clone()));
    let pipeline = Pipeline {
        store: store(&config, &client, &owned),
        scopes: Arc::new(scopes(&config)),
        selectors: selectors(&config),
        has_webhook: config.webhook.is_some(),
        confirms_workloads: config.settings.field_selector.is_some(),
        filter: config.lines.clone(),
        style: config.settings.log_style,
        // The watch ends first, within the same grace period.
        grace: config.settings.shutdown_grace.saturating_sub(linger),
        started,
        client,
        coder,
        registry,
        outlet,
        leadership,
        clock,
        correlating,
        delivering,
        checkpoint: metrics.checkpoint,
        watch: metrics.watch,
        correlate: metrics.correlate,
        deliver: metrics.deliver,
    };
    supervisor.spawn("pipeline", pipeline.run(check, stop_watch, done.drop_guard()));

    match shutdown::until_done(signals, &token, supervisor.run_until_done()).await {
        Ok(ended) => Ok(ended?),
        Err(forced) => Err(AppError::Forced(forced.0)),
    }
}

/// The registry. A new agent's log source is registered ahead of its first line.
fn registry(outlet: CurrentOutlet, clock: Arc<dyn Clock>, metrics: registry::Metrics) -> Arc<Registry> {
    let prepare = move |agent| {
        outlet.prepare(agent);
    };
    Arc::new(Registry::new(Box::new(prepare), clock, metrics))
}

fn scopes(config: &Config) -> Scopes {
    let scopes = match &config.settings.namespaces {
        Namespaces::All => Scopes::new(&[]),
        Namespaces::Listed(names) => Scopes::new(names),
    };
    if config.settings.node_events { scopes.with_node_events() } else { scopes }
}

/// Serves health and metrics until the very end of the shutdown.
async fn serve_admin(config: &Config, sources: &admin::Sources, supervisor: &mut Supervisor) -> Result<(), AppError> {
    for server in admin::bind(config.settings.health_addr, config.settings.metrics_addr, sources).await? {
        let closing = supervisor.closing().cancelled_owned();
        // A request that is unanswered at the end was logged by the server, and is not a failure of the program.
        supervisor.spawn_until_closing(format!("server {}", server.setting()), async move {
            let _ = server.run(closing).await;
        });
    }
    Ok(())
}

/// Labels and owner of the objects that the program creates.
async fn owned(config: &Config, client: &kube::Client) -> ObjectMeta {
    match &config.owner {
        Some(owner) => ownership::of_deployment(client, &owner.namespace, &owner.deployment).await,
        None => ObjectMeta::default(),
    }
}

/// The elector of this process, and the permission to send that it grants.
fn elector(settings: &Election, clock: &Arc<dyn Clock>, metrics: leader::Metrics) -> (Option<Elector>, Leadership) {
    let identity = settings.identity.clone().unwrap_or_else(|| format!("{:016x}", fastrand::u64(..)));
    let timing = Timing::of_lease(settings.lease);
    let (elector, leadership) = Elector::new(identity, timing, Uptime::of_machine(), clock.clone(), metrics);
    (Some(elector), leadership)
}

fn lease(settings: &Election, client: &kube::Client, owned: &ObjectMeta) -> leader::Store {
    let Election { namespace, name, lease, .. } = settings;
    leader::Store::new(client.clone(), namespace, name, owned.clone(), Timing::of_lease(*lease).request())
}

fn store(config: &Config, client: &kube::Client, owned: &ObjectMeta) -> Option<Arc<checkpoint::Store>> {
    let state = config.state.as_ref()?;
    Some(Arc::new(checkpoint::Store::new(client.clone(), &state.namespace, &state.name, owned.clone())))
}

fn selectors(config: &Config) -> crate::watch::Selectors {
    crate::watch::Selectors {
        field: config.settings.field_selector.as_ref().map(ToString::to_string),
        label: config.settings.label_selector.clone(),
    }
}

/// Returns a token that stops the watch once the webhook has ended, or after `linger`. When this pod's node is drained,
/// so are workspaces on it, and their last Events arrive in these seconds.
fn stop_after(supervisor: &mut Supervisor, served: CancellationToken, linger: Duration) -> CancellationToken {
    let stop = CancellationToken::new();
    let (token, guard) = (supervisor.token(), stop.clone().drop_guard());
    supervisor.spawn("watch end", async move {
        token.cancelled().await;
        // Delivery needs the rest of the grace period.
        let _ = tokio::time::timeout(linger, served.cancelled()).await;
        drop(guard);
    });
    stop
}
