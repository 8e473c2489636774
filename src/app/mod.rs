//! The wiring: which part hears which, and in which order they start and end.

mod admission;
mod error;
mod greeting;
mod metrics;
mod policy;
mod watching;

use std::{sync::Arc, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use logstream_core::correlate::{Correlator, Limits};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::error::AppError;
use self::{admission::Admission, metrics::Metrics, watching::Watching};
use crate::{
    admin,
    checkpoint::{self, Ledger},
    coder::CoderClient,
    config::{Config, LineFilter, Namespaces},
    correlate::{self, Correlation},
    deliver::{self, Engine, Outlet},
    kubernetes, ownership,
    registry::{self, Registry},
    runtime::{Clock, Heartbeat, Readiness, Signals, Supervisor, SystemClock, heartbeat, shutdown},
    watch::{Lookups, References, Scopes, Setup, Watch},
};

/// Facts that wait for the correlator. It takes microseconds for each: more would only be memory while a list comes in.
const OBSERVATIONS: usize = 256;

/// Runs the program until a signal ends it, or a part of it fails.
///
/// What may be wrong with the settings is found before anything is served: ports, certificate, kubeconfig.
pub async fn run(config: Config) -> Result<(), AppError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut registered = admin::Metrics::new(env!("CARGO_PKG_VERSION"), clock.now());
    let metrics = Metrics::register(registered.registry());
    let (correlating, delivering) = (Heartbeat::new("correlate"), Heartbeat::new("deliver"));
    let heartbeats = vec![correlating.clone(), delivering.clone()];
    registered.observe(heartbeats.clone());
    let signals = Signals::install().map_err(AppError::Signals)?;
    let client = kubernetes::client(config.cluster.load().await?)?;
    let coder = CoderClient::new(&config.coder_url)?;
    let mut supervisor = Supervisor::new(config.shutdown_grace);
    let token = supervisor.token();

    let readiness = Readiness::new();
    readiness.fail_when_cancelled(token.clone());
    // Before readiness is served, which is ready without a check.
    let check = readiness.check("watch");
    let sources = admin::Sources {
        liveness: supervisor.liveness(),
        heartbeats: heartbeats.clone(),
        readiness: readiness.clone(),
        metrics: Arc::new(registered),
    };
    serve_admin(&config, &sources, &mut supervisor).await?;

    let scopes = Arc::new(scopes(&config));
    let ledger = Ledger::new(scopes.clone());
    let time = clock.clone();
    let (outlet, engine) = deliver::channel(
        coder.clone(),
        deliver::Settings::default(),
        move || time.now(),
        ledger.clone(),
        metrics.deliver,
    );
    let engine = engine.with_heartbeat(delivering);
    let registry = registry(outlet.clone(), clock.clone(), metrics.registry);
    let owned = owned(&config, &client).await;
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
            grace: config.shutdown_grace,
            owned: owned.clone(),
        };
        let served = admission.start(settings, &readiness, &mut supervisor).await?;
        linger = admission::linger(config.shutdown_grace);
        stop_watch = stop_after(&mut supervisor, served, linger);
    }

    let (observations, observed) = mpsc::channel(OBSERVATIONS);
    let Watch { lookups, references, states, prepared } =
        Watch::new(setup(&config, &client, &scopes, &*clock, metrics.watch), observations, &stop_watch);
    let watching =
        Watching { scopes, prepared, states, store: store(&config, &client, &owned), ledger: ledger.clone() };
    supervisor.spawn("heartbeat", heartbeat::watch(heartbeats, readiness.check("pipeline"), token.clone()));
    supervisor.spawn("watch", watching.run(check, stop_watch.clone()));

    // The end comes in stages: no more facts, then no more lines, then no more progress.
    let (told, delivered) = (CancellationToken::new(), CancellationToken::new());
    let correlating = Correlating {
        heartbeat: correlating,
        registry,
        outlet,
        ledger: ledger.clone(),
        lookups,
        references,
        clock: clock.clone(),
        has_webhook: config.webhook.is_some(),
        confirms_workloads: config.field_selector.is_some(),
        filter: config.lines.clone(),
        metrics: metrics.correlate,
    };
    supervisor.spawn("correlate", correlating.run(observed, stop_watch, told.clone().drop_guard()));
    // What the watch takes at the end is not there for delivery.
    let grace = config.shutdown_grace.saturating_sub(linger);
    supervisor.spawn("deliver", delivering_until(told, engine, grace, delivered.clone().drop_guard()));
    if let Some(store) = store(&config, &client, &owned) {
        supervisor.spawn("checkpoint", checkpoint::keep(store, ledger, clock, delivered));
    } else {
        tracing::warn!("no ConfigMap for the checkpoint, a restart may lose lines");
    }
    supervisor.spawn("greeting", greeting::greet(coder, config.coder_url.clone(), token.clone()));

    match shutdown::until_done(signals, &token, supervisor.run_until_done()).await {
        Ok(ended) => Ok(ended?),
        Err(forced) => Err(AppError::Forced(forced.0)),
    }
}

/// The registry. A new agent's log source is registered ahead of its first line.
fn registry(outlet: Outlet, clock: Arc<dyn Clock>, metrics: registry::Metrics) -> Arc<Registry> {
    let prepare = move |agent| {
        outlet.prepare(agent);
    };
    Arc::new(Registry::new(Box::new(prepare), clock, metrics))
}

/// Delivers until `told`, then what it can within `grace`; then lets go of `_done`.
async fn delivering_until(told: CancellationToken, engine: Engine<CoderClient>, grace: Duration, _done: DropGuard) {
    let report = engine.run(told, grace).await;
    tracing::info!(%report, "delivery ended");
}

fn scopes(config: &Config) -> Scopes {
    match &config.namespaces {
        Namespaces::All => Scopes::new(&[]),
        Namespaces::Listed(names) => Scopes::new(names),
    }
}

/// Serves health and metrics until the very end of the shutdown.
async fn serve_admin(config: &Config, sources: &admin::Sources, supervisor: &mut Supervisor) -> Result<(), AppError> {
    for server in admin::bind(config.health_addr, config.metrics_addr, sources).await? {
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

fn store(config: &Config, client: &kube::Client, owned: &ObjectMeta) -> Option<checkpoint::Store> {
    let state = config.state.as_ref()?;
    Some(checkpoint::Store::new(client.clone(), &state.namespace, &state.name, owned.clone()))
}

fn setup(
    config: &Config,
    client: &kube::Client,
    scopes: &Arc<Scopes>,
    clock: &dyn Clock,
    metrics: crate::watch::Metrics,
) -> Setup {
    Setup { client: client.clone(), scopes: scopes.clone(), selectors: selectors(config), time: clock.now(), metrics }
}

fn selectors(config: &Config) -> crate::watch::Selectors {
    crate::watch::Selectors {
        field: config.field_selector.as_ref().map(ToString::to_string),
        label: config.label_selector.clone(),
    }
}

/// What the correlating task needs besides where the telling begins.
struct Correlating {
    heartbeat: Heartbeat,
    registry: Arc<Registry>,
    outlet: Outlet,
    ledger: Arc<Ledger>,
    lookups: Lookups,
    references: References,
    clock: Arc<dyn Clock>,
    has_webhook: bool,
    /// Whether only pods tell what is selected.
    confirms_workloads: bool,
    filter: LineFilter,
    metrics: correlate::Metrics,
}

impl Correlating {
    /// Correlates until `shutdown`. `_told` is released at the end: no line comes after it.
    async fn run(
        self,
        observed: mpsc::Receiver<logstream_core::correlate::Observation>,
        shutdown: CancellationToken,
        _told: DropGuard,
    ) {
        let correlator = Correlator::new(self.registry, Limits::default(), self.has_webhook);
        let correlation = Correlation {
            correlator: if self.confirms_workloads { correlator.confirming_workloads() } else { correlator },
            filter: self.filter,
            outlet: self.outlet,
            ledger: self.ledger,
            lookups: self.lookups,
            references: self.references,
            clock: self.clock,
            heartbeat: self.heartbeat,
            metrics: self.metrics,
            postponed: correlate::Requests::default(),
        };
        correlation.run(observed, shutdown).await;
    }
}

/// The watch goes on while the webhook still answers: when this pod leaves together with its node, so do workspaces,
/// and their last Events come in these seconds. Returns what stops the watch then.
fn stop_after(supervisor: &mut Supervisor, served: CancellationToken, linger: Duration) -> CancellationToken {
    let stop = CancellationToken::new();
    let (token, guard) = (supervisor.token(), stop.clone().drop_guard());
    supervisor.spawn("watch end", async move {
        token.cancelled().await;
        // Whichever is first: no later than that, delivery needs the rest of the time.
        let _ = tokio::time::timeout(linger, served.cancelled()).await;
        drop(guard);
    });
    stop
}
