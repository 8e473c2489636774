//! Lists, watches and lookups at the API server, reported as [`Observation`]s.
//!
//! Each scope (a resource in one namespace, or in all) has a task of its own, which lists, watches, and lists again
//! when its resourceVersion has expired. resourceVersions decide what is new: a scope remembers up to which one
//! everything was sent ([`Position`](position::Position)), across restarts too ([`Checkpoint`]).
//!
//! The observations of a scope have this order: [`Observation::Started`], [`Observation::Relisting`], the objects of
//! the list, its new Events in order of their resourceVersion, [`Observation::Synced`], then those of the watch. A list
//! that breaks off starts over with another `Relisting`. A `Relisting` is sent when the first part of the list has
//! arrived, never before a request that may fail.

mod ask;
mod deadlines;
mod failure;
mod lookup;
mod metrics;
mod names;
mod partial;
mod position;
mod reference;
mod scope;
mod selectors;
mod source;
mod start;
mod sync;
#[cfg(test)]
pub(crate) mod testing;

use std::{fmt, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use kube::Client;
use logstream_core::{
    checkpoint::Checkpoint,
    correlate::Observation,
    fact_id::ScopeId,
    object::{Event, Pod, Workload},
    resource::{Kind, Resource},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub use failure::Reason;
pub use lookup::{Lookups, QueueFull};
pub use metrics::Metrics;
pub use reference::References;
pub use scope::{MAX_NAMESPACES, Scope, Scopes};
pub use selectors::Selectors;
pub use sync::{Now, ScopeState, SyncStates};

use lookup::Lookup;
use partial::Decoded;
use reference::Resolver;
use source::{Closed, NoStreaming, Shared, Source};

/// Settings and dependencies of the watch.
pub struct Setup {
    /// The client for the API server.
    pub client: Client,
    /// Scopes to watch.
    pub scopes: Arc<Scopes>,
    /// Selectors of the pods to watch.
    pub selectors: Selectors,
    /// This machine's clock at the start, used if no response of the API server has a date.
    pub time: Timestamp,
    /// Time of the start. Without a checkpoint, objects created since then are new.
    pub started: Instant,
    /// Metrics of the watch.
    pub metrics: Metrics,
}

/// The watch: its handles and its tasks.
pub struct Watch {
    /// Handle for looking up objects that Events are about.
    pub lookups: Lookups,
    /// Handle for reading tokens in Secrets and ConfigMaps.
    pub references: References,
    /// State of each scope's watch.
    pub states: SyncStates,
    /// The tasks, before they start.
    pub prepared: Prepared,
}

/// The watch before it starts.
pub struct Prepared {
    helpers: Vec<Task>,
    scopes: Arc<Scopes>,
    shared: Shared,
    ends: Ends,
}

/// A named task for a supervisor.
pub struct Task {
    /// Name, such as `watch pods/ns`.
    pub name: String,
    /// The task's future.
    pub work: BoxFuture<'static, ()>,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Watch {
    /// Prepares the watch. Sends no request to the API server before the tasks run.
    ///
    /// Observations are sent to `out`; the watch waits while it is full. On `shutdown` the tasks end at once: the next
    /// process finds again what they were processing.
    pub fn new(setup: Setup, out: mpsc::Sender<Observation>, shutdown: &CancellationToken) -> Self {
        let Setup { client, scopes, selectors, time, started, metrics } = setup;
        let states = SyncStates::new(scopes.clone(), metrics.clone());
        let (lookups, lookup) =
            Lookup::new(client.clone(), scopes.clone(), selectors.clone(), out.clone(), metrics.clone());
        let (references, resolver) = Resolver::new(client.clone(), out.clone(), metrics.clone());
        let no_streaming = NoStreaming::default();
        let client = deadlines::with_deadlines(client);
        let shared = Shared {
            client,
            selectors,
            out: out.clone(),
            states: states.clone(),
            metrics,
            no_streaming,
            node_events: scopes.have_node_events(),
            time,
            started,
        };
        let ends = Ends { shutdown: shutdown.clone(), out };
        let helpers = vec![ends.task("lookups".into(), lookup.run()), ends.task("references".into(), resolver.run())];
        Self { lookups, references, states, prepared: Prepared { helpers, scopes, shared, ends } }
    }
}

impl Prepared {
    /// Returns the tasks, each to be run on its own. A scope continues from its checkpoint, if there is one. A task
    /// ends only when the shutdown begins or the output is closed; an end before that is a fault.
    pub fn tasks(self, checkpoint: impl Fn(ScopeId) -> Option<Checkpoint>) -> Vec<Task> {
        let Self { helpers: mut tasks, scopes, shared, ends } = self;
        tasks.extend(scopes.iter().map(|(id, scope)| {
            let span = tracing::info_span!("watch", scope = scope.key());
            let work = watch(id, scope, shared.clone(), checkpoint(id)).map(|Closed| ()).instrument(span);
            ends.task(format!("watch {}", scope.key()), work)
        }));
        tasks
    }
}

/// Conditions that end a task.
struct Ends {
    shutdown: CancellationToken,
    out: mpsc::Sender<Observation>,
}

impl Ends {
    fn task(&self, name: String, work: impl Future<Output = ()> + Send + 'static) -> Task {
        let Self { shutdown, out } = self;
        let (shutdown, out) = (shutdown.clone(), out.clone());
        let work = async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                // A quiet watch would not notice this before its next fact.
                () = out.closed() => {}
                () = work => {}
            }
        };
        Task { name, work: work.boxed() }
    }
}

fn watch(id: ScopeId, scope: &Scope, shared: Shared, saved: Option<Checkpoint>) -> BoxFuture<'static, Closed> {
    fn of<T: Decoded>(
        id: ScopeId,
        scope: &Scope,
        shared: Shared,
        saved: Option<Checkpoint>,
    ) -> BoxFuture<'static, Closed> {
        Source::<T>::new(id, scope.clone(), shared, saved).run().boxed()
    }
    match scope.resource {
        Resource::Events | Resource::NodeEvents => of::<Event>(id, scope, shared, saved),
        Resource::Objects(Kind::Pod) => of::<Pod>(id, scope, shared, saved),
        Resource::Objects(_) => of::<Workload>(id, scope, shared, saved),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{task::JoinSet, time::timeout};

    use super::{
        testing::{Answer, Script, listed},
        *,
    };

    fn begun(out: mpsc::Sender<Observation>, shutdown: &CancellationToken) -> (SyncStates, JoinSet<()>) {
        let lines = [listed(7)];
        let server =
            Script::new().always("limit=1", Answer::list(7, &[])).always("watch=true", Answer::watch(&lines)).start();
        let (client, scopes) = (server.client(), Arc::new(Scopes::new(&["ns".into()])));
        let (time, started) = (Timestamp::UNIX_EPOCH, Instant::now());
        let metrics = Metrics::default();
        let setup = Setup { client, scopes, selectors: Selectors::default(), time, started, metrics };
        let watch = Watch::new(setup, out, shutdown);
        let all = watch.prepared.tasks(|_| None);
        let names: Vec<_> = all.iter().map(|task| task.name.as_str()).collect();
        assert_eq!(names.len(), 8);
        assert!(names.contains(&"lookups") && names.contains(&"watch replicasets/ns"), "{names:?}");
        let mut tasks = JoinSet::new();
        for task in all {
            tasks.spawn(task.work);
        }
        (watch.states, tasks)
    }

    #[tokio::test(start_paused = true)]
    async fn every_scope_is_listed_and_every_task_ends_with_the_shutdown() {
        let shutdown = CancellationToken::new();
        let (out, mut observations) = mpsc::channel(1);
        let (states, tasks) = begun(out, &shutdown);
        let mut synced = 0;
        while synced < 6 {
            let next = timeout(Duration::from_mins(1), observations.recv()).await.unwrap().unwrap();
            synced += usize::from(matches!(next, Observation::Synced(_)));
        }
        assert!(states.all_listed());
        shutdown.cancel();
        timeout(Duration::from_secs(1), tasks.join_all()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn every_task_ends_when_the_receiver_is_dropped() {
        let (out, observations) = mpsc::channel(64);
        let (_, tasks) = begun(out, &CancellationToken::new());
        tokio::time::sleep(Duration::from_mins(1)).await;
        drop(observations);
        timeout(Duration::from_secs(1), tasks.join_all()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_scope_that_cannot_be_listed_delays_no_other() {
        let lines = [listed(7)];
        let server = Script::new()
            .always("/jobs?", Answer::status(500, "etcd"))
            .always("/replicasets?", Answer::status(403, "no"))
            .always("watch=true", Answer::watch(&lines))
            .start();
        let scopes = Arc::new(Scopes::new(&["ns".into()]));
        let (time, started) = (Timestamp::UNIX_EPOCH, Instant::now());
        let (client, metrics) = (server.client(), Metrics::default());
        let (out, mut observations) = mpsc::channel(1);
        let setup = Setup { client, scopes, selectors: Selectors::default(), time, started, metrics };
        let watch = Watch::new(setup, out, &CancellationToken::new());
        let mut tasks = JoinSet::new();
        for task in watch.prepared.tasks(|_| None) {
            tasks.spawn(task.work);
        }
        let mut synced = 0;
        while synced < 4 {
            let next = timeout(Duration::from_mins(1), observations.recv()).await.unwrap().unwrap();
            synced += usize::from(matches!(next, Observation::Synced(_)));
        }
        assert_eq!(watch.states.problems().len(), 2);
    }
}
