//! The watch of one scope: lists, watches, and starts over, for as long as the program runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use jiff::Timestamp;
use kube::{
    Api, Client,
    runtime::watcher::{self, watcher},
};
use logstream_core::{
    checkpoint::Checkpoint,
    correlate::{Arrival, Observation},
    fact_id::ScopeId,
    resource::{Kind, Resource},
};
use logstream_runtime::Backoff;
use tokio::{sync::mpsc, time::Instant};

use super::{
    deadlines,
    failure::{Failure, Reason},
    metrics::Metrics,
    partial::{Decoded, Fact, Partial},
    position::Position,
    scope::Scope,
    selectors::{Selectors, of_events, of_node_events},
    start,
    sync::SyncStates,
};

/// Number of objects in a page of a list, if the server does not stream lists. The same as in client-go.
const PAGE: u32 = 500;
/// Time without a failure after which a resumed watch counts as working: `watcher` does not report success, and a quiet
/// scope gives no other sign. Longer than the 30 s that a connection may take.
const QUIET: Duration = Duration::from_secs(35);
/// Maximum time for which the first list of Events waits for the lists of objects.
const OBJECTS_FIRST: Duration = Duration::from_secs(15);
/// Number of consecutive answers that refuse to resume a watch, before it is listed again.
const RESUMES: u32 = 10;
/// Number of streaming lists started in a row without completing one, at which lists are paged instead.
const BROKEN_LISTS: u32 = 3;

/// Method of listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    Streamed,
    Paged,
}

/// Flag that is set once this API server has refused streaming lists. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct NoStreaming(Arc<AtomicBool>);

/// The receiver of observations was closed.
#[derive(Debug)]
pub(super) struct Closed;

/// Reason for leaving a stream of `watcher`.
enum Left {
    /// The server does not stream lists.
    Refused,
    /// The watch cannot be resumed.
    Stuck,
    /// Its history is no longer available.
    Expired,
}

/// State and dependencies of all scopes.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) selectors: Selectors,
    pub(super) out: mpsc::Sender<Observation>,
    pub(super) states: SyncStates,
    pub(super) metrics: Metrics,
    pub(super) no_streaming: NoStreaming,
    /// True if Events of nodes are watched.
    pub(super) node_events: bool,
    /// This machine's clock at the start.
    pub(super) time: Timestamp,
    /// Time of the start, to measure how long ago it was.
    pub(super) started: Instant,
}

/// The watch of one scope.
pub(super) struct Source<T: Decoded> {
    id: ScopeId,
    scope: Scope,
    api: Api<Partial<T>>,
    shared: Shared,
    /// Checkpoint of an earlier process.
    saved: Option<Checkpoint>,
    position: Position,
    backoff: Backoff,
    /// True if a list is due or in progress.
    must_list: bool,
    /// True if the list in progress was announced by [`Observation::Relisting`].
    announced: bool,
    /// Number of streaming lists started in a row without completing one.
    broken_lists: u32,
    /// Number of consecutive refusals to resume the watch.
    refusals: u32,
    /// The failure that the log and readiness report.
    reported: Option<String>,
}

impl<T: Decoded> Source<T> {
    pub(super) fn new(id: ScopeId, scope: Scope, shared: Shared, saved: Option<Checkpoint>) -> Self {
        let client = shared.client.clone();
        let api = match scope.namespace.as_deref() {
            Some(namespace) => Api::namespaced_with(client, namespace, &scope.resource),
            None => Api::all_with(client, &scope.resource),
        };
        Self {
            id,
            scope,
            api,
            shared,
            saved,
            position: Position::new(&Checkpoint::default()),
            backoff: deadlines::backoff(),
            must_list: true,
            announced: false,
            broken_lists: 0,
            refusals: 0,
            reported: None,
        }
    }

    /// Watches until the output is closed.
    pub(super) async fn run(mut self) -> Closed {
        if let Err(closed) = self.start().await {
            return closed;
        }
        let mut lists = Lists::Streamed;
        loop {
            if self.shared.no_streaming.0.load(Ordering::Relaxed) {
                lists = Lists::Paged;
            }
            match self.follow(lists).await {
                Ok(Left::Refused) => lists = Lists::Paged,
                Ok(Left::Stuck) => self.compare_history().await,
                Ok(Left::Expired) => {}
                Err(closed) => return closed,
            }
            self.must_list = true;
        }
    }

    /// Determines where to start: from the checkpoint of an earlier process, or from the start of this one. Waits while
    /// the API server does not answer; no other scope waits for it.
    async fn start(&mut self) -> Result<(), Closed> {
        let current = loop {
            match start::current(&self.shared.client, &self.scope).await {
                Ok(current) => break current,
                Err(failure) => {
                    self.shared.metrics.error(self.scope.resource, failure.reason);
                    self.report(&failure);
                    tokio::time::sleep(self.backoff.pause()).await;
                }
            }
        };
        self.backoff.reset();
        let from = if let Some(mut saved) = self.saved.take() {
            let saved_revision = saved.revision;
            if saved.limit_to(current.revision, current.date) {
                tracing::warn!(saved = saved_revision, current = current.revision, "the cluster's history went back");
            }
            self.position = Position::new(&saved);
            saved
        } else {
            // By the API server's clock, so that objects created before its first response are new.
            let began = current.date.and_then(|date| date.checked_sub(self.shared.started.elapsed()).ok());
            let now = Checkpoint::now(current.revision, began.unwrap_or(self.shared.time));
            self.position = Position::from_now(&now);
            now
        };
        self.send(Observation::Started { scope: self.id, from: Box::new(from) }).await?;
        if self.scope.resource.is_events() {
            // Otherwise the Events of a large list would all have to wait for their subjects.
            let listed = self.shared.states.objects_listed(self.id);
            let _ = tokio::time::timeout(OBJECTS_FIRST, listed).await;
        }
        Ok(())
    }

    /// Follows one stream of `watcher` until it has to be replaced.
    async fn follow(&mut self, lists: Lists) -> Result<Left, Closed> {
        let mut items = std::pin::pin!(watcher(self.api.clone(), self.config(lists)));
        loop {
            let next = items.next();
            let item = if self.reported.is_some() && !self.must_list {
                let Ok(item) = tokio::time::timeout(QUIET, next).await else {
                    self.works();
                    continue;
                };
                item
            } else {
                next.await
            };
            match item {
                Some(Ok(event)) => {
                    self.take(event).await?;
                    if self.broken_lists >= BROKEN_LISTS && lists == Lists::Streamed {
                        tracing::info!("streaming lists do not come to their end, paging");
                        return Ok(Left::Refused);
                    }
                }
                Some(Err(error)) => {
                    if let Some(left) = self.failed(lists, &error).await {
                        return Ok(left);
                    }
                }
                None => return Ok(Left::Stuck),
            }
        }
    }

    fn config(&self, lists: Lists) -> watcher::Config {
        let config = match lists {
            Lists::Streamed => watcher::Config::default().streaming_lists(),
            Lists::Paged => watcher::Config::default().page_size(PAGE),
        };
        let (field_selector, label_selector) = match self.scope.resource {
            Resource::Objects(Kind::Pod) => (self.shared.selectors.field.clone(), self.shared.selectors.label_text()),
            Resource::Events => {
                let with_nodes = self.shared.node_events && self.scope.has_cluster_events();
                (Some(of_events(with_nodes)), None)
            }
            Resource::NodeEvents => (Some(of_node_events()), None),
            Resource::Objects(_) => (None, None),
        };
        watcher::Config { field_selector, label_selector, timeout: Some(deadlines::WATCH), ..config }
    }

    async fn take(&mut self, event: watcher::Event<Partial<T>>) -> Result<(), Closed> {
        match event {
            watcher::Event::Init => {
                // Emitted at the start of each list, also before its first request: nothing is known to be listed yet.
                self.must_list = true;
                self.announced = false;
                self.broken_lists += 1;
                self.position.begin();
                Ok(())
            }
            watcher::Event::InitApply(object) => {
                self.announce().await?;
                self.listed(object).await
            }
            watcher::Event::InitDone => {
                self.announce().await?;
                for event in self.position.done() {
                    self.send(Observation::Event { scope: self.id, event }).await?;
                }
                self.must_list = false;
                self.broken_lists = 0;
                self.works();
                self.send(Observation::Synced(self.id)).await
            }
            watcher::Event::Apply(object) => {
                self.works();
                self.watched(object).await
            }
            watcher::Event::Delete(object) => {
                self.works();
                self.gone(object).await
            }
        }
    }

    /// Announces the list in progress, once its first part has arrived.
    async fn announce(&mut self) -> Result<(), Closed> {
        if self.announced {
            return Ok(());
        }
        self.announced = true;
        if self.shared.states.get(self.id).is_some_and(|state| state.listed) {
            self.shared.metrics.relist(self.scope.resource);
        }
        self.send(Observation::Relisting(self.id)).await
    }

    async fn listed(&mut self, object: Partial<T>) -> Result<(), Closed> {
        let revision = object.revision();
        match self.decoded(object) {
            Some(Fact::Event(event)) if event.is_relevant() => {
                for event in self.position.listed_event(event) {
                    self.send(Observation::Event { scope: self.id, event }).await?;
                }
                Ok(())
            }
            Some(Fact::Event(_)) | None => {
                self.position.listed_other(revision);
                Ok(())
            }
            Some(Fact::Object(object)) => {
                let how = self.position.listed(object.meta());
                self.send(Observation::Seen { scope: self.id, object, how }).await
            }
        }
    }

    async fn watched(&mut self, object: Partial<T>) -> Result<(), Closed> {
        let news = self.position.watched(object.revision());
        match self.decoded(object) {
            Some(Fact::Event(event)) if news && event.is_relevant() => {
                self.send(Observation::Event { scope: self.id, event }).await
            }
            Some(Fact::Event(_)) | None => Ok(()),
            Some(Fact::Object(object)) => {
                let how = if news { Arrival::Watched } else { Arrival::ListedKnown };
                self.send(Observation::Seen { scope: self.id, object, how }).await
            }
        }
    }

    async fn gone(&mut self, object: Partial<T>) -> Result<(), Closed> {
        self.position.watched(object.revision());
        match self.decoded(object) {
            Some(Fact::Object(object)) => self.send(Observation::Gone { scope: self.id, object }).await,
            // The deletion of an Event has no meaning.
            Some(Fact::Event(_)) | None => Ok(()),
        }
    }

    /// Returns the object if it is selected. A malformed one is counted instead.
    fn decoded(&self, object: Partial<T>) -> Option<Fact> {
        if object.is_malformed() {
            self.shared.metrics.malformed(self.scope.resource);
            let (namespace, name) = object.names();
            tracing::debug!(namespace, name, "malformed object skipped");
        }
        object.into_content().and_then(|object| object.into_fact(self.scope.resource)).filter(|fact| match fact {
            Fact::Object(object) => self.shared.selectors.selects(object),
            Fact::Event(_) => true,
        })
    }

    async fn send(&self, observation: Observation) -> Result<(), Closed> {
        self.shared.out.send(observation).await.map_err(|_| Closed)
    }

    /// Records that the watch works, on receipt of something that only a working watch sends.
    fn works(&mut self) {
        self.backoff.reset();
        self.refusals = 0;
        if self.reported.take().is_some() {
            tracing::info!("watching again");
        }
        self.shared.states.watching(self.id);
    }

    /// Reports a failure and waits before the next attempt.
    async fn failed(&mut self, lists: Lists, error: &watcher::Error) -> Option<Left> {
        if lists == Lists::Streamed && self.must_list && self.refuses_streaming(error) {
            tracing::debug!("the API server does not stream lists, paging");
            return Some(Left::Refused);
        }
        let failure = Failure::of_watcher(error);
        self.shared.metrics.error(self.scope.resource, failure.reason);
        if failure.reason == Reason::Gone {
            // Expected: the history was compacted while nothing happened here, or while this process was not connected.
            tracing::debug!(error = %failure, "history expired, listing anew");
            let in_watch = !std::mem::replace(&mut self.must_list, true);
            self.shared.states.listing(self.id);
            if in_watch {
                tokio::time::sleep(self.backoff.pause()).await;
                return Some(Left::Expired);
            }
        } else {
            self.report(&failure);
        }
        let answered = !matches!(failure.reason, Reason::Unreachable);
        self.refusals = if answered && !self.must_list { self.refusals + 1 } else { 0 };
        tokio::time::sleep(self.backoff.pause()).await;
        (self.refusals >= RESUMES).then_some(Left::Stuck)
    }

    /// Logs a failure that differs from the previous one, and reports it to readiness.
    fn report(&mut self, failure: &Failure) {
        let text = match failure.reason {
            Reason::Forbidden => {
                format!("{failure} (the verbs list and watch on {} are needed)", self.scope.resource.plural())
            }
            _ => failure.to_string(),
        };
        if self.reported.as_ref() != Some(&text) {
            tracing::warn!(error = text, tries = self.backoff.tries(), "watch failing");
        }
        self.shared.states.failing(self.id, failure.reason, &text);
        self.reported = Some(text);
    }

    /// True if the server does not support streaming lists: it rejects the parameter as invalid (422), or with 400 if
    /// it does not know it. A 400 may also be due to the user's selector, so it counts for this scope only.
    fn refuses_streaming(&self, error: &watcher::Error) -> bool {
        let watcher::Error::WatchStartFailed(kube::Error::Api(status)) = error else { return false };
        if status.code == 422 {
            self.shared.no_streaming.0.store(true, Ordering::Relaxed);
        }
        matches!(status.code, 400 | 422)
    }

    /// Goes back if the position is ahead of the cluster's history, as after a restore of etcd from a backup. The watch
    /// cannot be resumed then.
    async fn compare_history(&mut self) {
        let Ok(current) = start::current(&self.shared.client, &self.scope).await else { return };
        let reached = self.position.reached();
        if reached > current.revision {
            tracing::warn!(reached, current = current.revision, "the cluster's history went back");
            self.position.rewind(current.revision);
        }
    }
}

#[cfg(test)]
mod tests;
