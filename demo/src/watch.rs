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

/// A list in an empty namespace takes milliseconds.
const FIRST_LIST: Duration = Duration::from_secs(30);

/// Watches until dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    facts: Arc<Mutex<Facts>>,
    _tasks: JoinSet<()>,
}

impl Watch {
    /// Watches pods, ReplicaSets and Events in these namespaces; answers when the watches stand.
    pub(crate) async fn start(client: &Client, namespaces: &[&str]) -> Result<Self> {
        let facts = Arc::new(Mutex::new(Facts::default()));
        let standing = Arc::new(Semaphore::new(0));
        let mut tasks = JoinSet::new();
        for namespace in namespaces {
            let (facts, standing) = (&facts, &standing);
            tasks.spawn(follow(
                Api::<v1::Pod>::namespaced(client.clone(), namespace),
                facts,
                standing,
                |facts, seen| match seen {
                    Seen::There(at, pod) => facts.pod(at, pod),
                    Seen::Gone(at, pod) => facts.pod_gone(at, pod),
                },
            ));
            let sets = Api::<ReplicaSet>::namespaced(client.clone(), namespace);
            tasks.spawn(follow(sets, facts, standing, |facts, seen| match seen {
                Seen::There(at, set) => facts.replica_set(at, set),
                Seen::Gone(at, set) => facts.replica_set_gone(at, set),
            }));
            let events = Api::<v1::Event>::namespaced(client.clone(), namespace);
            tasks.spawn(follow(events, facts, standing, |facts, seen| match seen {
                Seen::There(at, event) => facts.event(at, event),
                // Events live an hour; their end says nothing.
                Seen::Gone(..) => {}
            }));
        }
        let all = u32::try_from(tasks.len())?;
        tokio::time::timeout(FIRST_LIST, standing.acquire_many(all))
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

/// An object as the watch shows it, and when.
enum Seen<'a, K> {
    There(Instant, &'a K),
    Gone(Instant, &'a K),
}

fn follow<K>(
    api: Api<K>,
    facts: &Arc<Mutex<Facts>>,
    standing: &Arc<Semaphore>,
    note: impl Fn(&mut Facts, Seen<'_, K>) + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let (facts, standing) = (Arc::clone(facts), Arc::clone(standing));
    async move {
        let mut objects = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
        while let Some(event) = objects.next().await {
            let at = Instant::now();
            let mut facts = facts.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) => note(&mut facts, Seen::There(at, &object)),
                Ok(Event::Delete(object)) => note(&mut facts, Seen::Gone(at, &object)),
                Ok(Event::InitDone) => standing.add_permits(1),
                // It lists again by itself; a fact of the time between is seen late.
                Ok(Event::Init) | Err(_) => {}
            }
        }
    }
}
