//! The demo's own watch of the API server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::facts::Facts;

/// Deadline of the first lists. A list in an empty namespace takes milliseconds.
const FIRST_LIST: Duration = Duration::from_secs(30);

/// Watches the demo's namespaces until dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    facts: Arc<Mutex<Facts>>,
    _tasks: JoinSet<()>,
}

impl Watch {
    /// Watches pods, ReplicaSets and Events in these namespaces; returns once the watches are established.
    pub(crate) async fn start(client: &Client, namespaces: &[&str]) -> Result<Self> {
        let facts = Arc::new(Mutex::new(Facts::default()));
        let established = Arc::new(Semaphore::new(0));
        let mut tasks = JoinSet::new();
        for namespace in namespaces {
            let (facts, established) = (&facts, &established);
            tasks.spawn(follow(
                Api::<v1::Pod>::namespaced(client.clone(), namespace),
                facts,
                established,
                |facts, seen| match seen {
                    Seen::There(at, pod) => facts.pod(at, pod),
                    Seen::Gone(at, pod) => facts.pod_gone(at, pod),
                },
            ));
            let sets = Api::<ReplicaSet>::namespaced(client.clone(), namespace);
            tasks.spawn(follow(sets, facts, established, |facts, seen| match seen {
                Seen::There(at, set) => facts.replica_set(at, set),
                Seen::Gone(at, set) => facts.replica_set_gone(at, set),
            }));
            let events = Api::<v1::Event>::namespaced(client.clone(), namespace);
            tasks.spawn(follow(events, facts, established, |facts, seen| match seen {
                Seen::There(at, event) => facts.event(at, event),
                // Events expire after an hour; their deletion means nothing.
                Seen::Gone(..) => {}
            }));
        }
        let all = u32::try_from(tasks.len())?;
        tokio::time::timeout(FIRST_LIST, established.acquire_many(all))
            .await
            .context("the demo's own watch of the API server does not begin")??
            .forget();
        Ok(Self { facts, _tasks: tasks })
    }

    /// The facts so far.
    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An object from the watch, with the time it was received.
enum Seen<'a, K> {
    There(Instant, &'a K),
    Gone(Instant, &'a K),
}

fn follow<K>(
    api: Api<K>,
    facts: &Arc<Mutex<Facts>>,
    established: &Arc<Semaphore>,
    note: impl Fn(&mut Facts, Seen<'_, K>) + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let (facts, established) = (Arc::clone(facts), Arc::clone(established));
    async move {
        let mut objects = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
        while let Some(event) = objects.next().await {
            let at = Instant::now();
            let mut facts = facts.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) => note(&mut facts, Seen::There(at, &object)),
                Ok(Event::Delete(object)) => note(&mut facts, Seen::Gone(at, &object)),
                Ok(Event::InitDone) => established.add_permits(1),
                // The watcher lists again by itself; facts from meanwhile are seen late.
                Ok(Event::Init) | Err(_) => {}
            }
        }
    }
}
