//! The wiring: which part hears which, and in which order they start and end.

mod admission;
mod error;
mod greeting;
mod metrics;
mod watching;

use std::sync::Arc;

use logstream_core::correlate::{Correlator, Limits};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use self::error::AppError;
use self::{admission::Admission, metrics::Metrics, watching::Watching};
use crate::{
    admin,
    coder::CoderClient,
    config::{Config, Namespaces},
    correlate::{self, Correlation},
    deliver::{self, Outlet},
    progress::{self, Progress},
    registry::Registry,
    runtime::{Clock, Heartbeat, Readiness, Signals, Supervisor, SystemClock, heartbeat, shutdown},
    watch::Scopes,
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
    let client = kube::Client::try_from(config.cluster.client_config().await?)?;
    let coder = CoderClient::new(&config.coder_url)?;
    let mut supervisor = Supervisor::new(config.shutdown_grace);
    let token = supervisor.token();

    let readiness = Readiness::new();
    readiness.fail_when_cancelled(token.clone());
    serve_admin(&config, registered, &heartbeats, &readiness, &mut supervisor).await?;

    let scopes = Arc::new(scopes(&config));
    let progress = Progress::new(scopes.clone());
    let time = clock.clone();
    let (outlet, engine) = deliver::channel(
        coder.clone(),
        deliver::Settings::default(),
        move || time.now(),
        progress.clone(),
        metrics.deliver,
    );
    let engine = engine.with_heartbeat(delivering);
    let prepare = outlet.clone();
    let registry = Arc::new(Registry::new(
        Box::new(move |agent| {
            prepare.prepare(agent);
        }),
        clock.clone(),
        metrics.registry,
    ));
    if let Some(settings) = &config.webhook {
        let admission = Admission {
            client: client.clone(),
            registry: registry.clone(),
            clock: clock.clone(),
            webhook: metrics.webhook,
            certs: metrics.certs,
            grace: config.shutdown_grace,
        };
        admission.start(settings, &readiness, &mut supervisor).await?;
    }

    let (observations, observed) = mpsc::channel(OBSERVATIONS);
    let (begin, beginning) = oneshot::channel();
    let watching = Watching {
        client: client.clone(),
        scopes,
        selectors: selectors(&config),
        store: store(&config, &client),
        progress: progress.clone(),
        clock: clock.clone(),
        metrics: metrics.watch,
    };
    supervisor.spawn("heartbeat", heartbeat::watch(heartbeats, readiness.check("pipeline"), token.clone()));
    let check = readiness.check("watch");
    supervisor.spawn("watch", watching.run(observations, begin, check, token.clone()));

    // The end comes in stages: no more facts, then no more lines, then no more progress.
    let (told, delivered) = (CancellationToken::new(), CancellationToken::new());
    let correlating = Correlating {
        heartbeat: correlating,
        registry,
        outlet,
        progress: progress.clone(),
        clock: clock.clone(),
        expects_claims: config.webhook.is_some(),
        metrics: metrics.correlate,
    };
    supervisor.spawn("correlate", correlating.run(beginning, observed, token.clone(), told.clone().drop_guard()));
    let grace = config.shutdown_grace;
    let done = delivered.clone().drop_guard();
    supervisor.spawn("deliver", async move {
        let report = engine.run(told, grace).await;
        tracing::info!(%report, "delivery ended");
        drop(done);
    });
    if let Some(store) = store(&config, &client) {
        supervisor.spawn("progress", progress::keep(store, progress, clock, delivered));
    } else {
        tracing::warn!("progress is kept in memory only, a restart may lose lines");
    }
    supervisor.spawn("greeting", greeting::greet(coder, config.coder_url.clone(), token.clone()));

    match shutdown::until_done(signals, &token, supervisor.run_until_done()).await {
        Ok(ended) => Ok(ended?),
        Err(forced) => Err(AppError::Forced(forced.0)),
    }
}

/// Serves health and metrics on the configured addresses.
async fn serve_admin(
    config: &Config,
    metrics: admin::Metrics,
    heartbeats: &[Heartbeat],
    readiness: &Readiness,
    supervisor: &mut Supervisor,
) -> Result<(), AppError> {
    let sources = admin::Sources {
        liveness: supervisor.liveness(),
        heartbeats: heartbeats.to_vec(),
        readiness: readiness.clone(),
        metrics: Arc::new(metrics),
    };
    for server in admin::bind(config.health_addr, config.metrics_addr, &sources).await? {
        supervisor.spawn_until_closing(format!("server {}", server.setting()), server.run(supervisor.closing()));
    }
    Ok(())
}

fn scopes(config: &Config) -> Scopes {
    match &config.namespaces {
        Namespaces::All => Scopes::new(&[]),
        Namespaces::Listed(names) => Scopes::new(names),
    }
}

fn store(config: &Config, client: &kube::Client) -> Option<progress::Store> {
    let state = config.state.as_ref()?;
    Some(progress::Store::new(client.clone(), &state.namespace, &state.name))
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
    progress: Arc<Progress>,
    clock: Arc<dyn Clock>,
    expects_claims: bool,
    metrics: correlate::Metrics,
}

impl Correlating {
    /// Waits until the watch knows where it begins, then correlates. `_told` is let go at the end: no line comes then.
    async fn run(
        self,
        begun: oneshot::Receiver<watching::Begun>,
        observed: mpsc::Receiver<logstream_core::correlate::Observation>,
        shutdown: CancellationToken,
        _told: tokio_util::sync::DropGuard,
    ) {
        let Some(Ok(begun)) = shutdown.run_until_cancelled(begun).await else {
            return shutdown.cancelled().await;
        };
        let correlation = Correlation {
            correlator: Correlator::new(self.registry, begun.history, Limits::default(), self.expects_claims),
            outlet: self.outlet,
            progress: self.progress,
            lookups: begun.lookups,
            references: begun.references,
            clock: self.clock,
            heartbeat: self.heartbeat,
            metrics: self.metrics,
            postponed: correlate::Requests::default(),
        };
        correlation.run(observed, shutdown).await;
    }
}
