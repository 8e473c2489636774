//! Continuous creation of pods.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::PostParams};
use logstream_testing::{Balancer, Workspace, installation::SEEN_BY_WEBHOOK};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::context::{PATIENCE, TOKEN};

/// Interval between two pods: a rotation takes less time than ten of them.
const EVERY: Duration = Duration::from_millis(33);

/// Number of the next pod, unique over all streams.
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// Outcome of the pods.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Names of the created pods.
    pub(crate) created: Vec<String>,
    /// Errors of the API server, with the times.
    refused: Vec<String>,
    unannotated: Vec<String>,
}

impl Tally {
    /// Asserts that no pod was rejected or unannotated, and that at least this many were created.
    pub(crate) fn check(&self, at_least: usize) -> Result<()> {
        let Self { created, refused, unannotated } = self;
        let created = created.len();
        println!("{created} pods created, {} refused, {} unannotated", refused.len(), unannotated.len());
        if refused.is_empty() && unannotated.is_empty() && created >= at_least {
            return Ok(());
        }
        Err(anyhow!("{created} created; refused: {refused:#?}; unannotated: {unannotated:?}"))
    }
}

/// Handling of the API server's connections to the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connections {
    /// Cut after each pod, so that the next one begins with a handshake.
    Cut,
    /// Kept open, as in production.
    Kept,
}

/// Creates pods until it is stopped.
pub(crate) struct Stream {
    tally: watch::Receiver<Tally>,
    stop: CancellationToken,
    tasks: JoinSet<Result<()>>,
}

impl Stream {
    /// Starts to create bare pods in a namespace, in sequence.
    pub(crate) fn start(client: Client, namespace: &str, balancer: Arc<Balancer>, connections: Connections) -> Self {
        let balancer = (connections == Connections::Cut).then_some(balancer);
        let (sender, tally) = watch::channel(Tally::default());
        let (stop, namespace) = (CancellationToken::new(), namespace.to_owned());
        let mut tasks = JoinSet::new();
        let stopped = stop.clone();
        tasks.spawn(async move { create(client, &namespace, balancer.as_deref(), &sender, &stopped).await });
        Self { tally, stop, tasks }
    }

    /// The outcome so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally.borrow().clone()
    }

    /// Waits until `count` more pods were attempted.
    pub(crate) async fn more(&self, count: usize) -> Result<()> {
        let mut tally = self.tally.clone();
        let attempts = |tally: &Tally| tally.created.len() + tally.refused.len();
        let enough = attempts(&tally.borrow()) + count;
        timeout(PATIENCE, tally.wait_for(|tally| attempts(tally) >= enough)).await.context("pods are created")??;
        Ok(())
    }

    /// Ends it after the current pod.
    pub(crate) async fn end(mut self) -> Result<Tally> {
        self.stop.cancel();
        self.tasks.join_next().await.context("the stream runs")???;
        Ok(self.tally())
    }
}

async fn create(
    client: Client,
    namespace: &str,
    balancer: Option<&Balancer>,
    tally: &watch::Sender<Tally>,
    stop: &CancellationToken,
) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    let started = Instant::now();
    let mut pace = interval(EVERY);
    while stop.run_until_cancelled(pace.tick()).await.is_some() {
        let workspace = format!("p{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let pod: Pod = serde_json::from_value(Workspace::new(namespace, "stream", &workspace, TOKEN).pod())?;
        let name = pod.metadata.name.clone().unwrap_or_default();
        let answer = pods.create(&PostParams::default(), &pod).await;
        tally.send_modify(|tally| match answer {
            Ok(pod) => {
                if !pod.metadata.annotations.unwrap_or_default().contains_key(SEEN_BY_WEBHOOK) {
                    tally.unannotated.push(format!("{name} at {:?}", started.elapsed()));
                }
                tally.created.push(name);
            }
            Err(error) => tally.refused.push(format!("{name} at {:?}: {error}", started.elapsed())),
        });
        if let Some(balancer) = balancer {
            balancer.cut().await?;
        }
    }
    Ok(())
}
