//! Tokens that a spec takes from a Secret or ConfigMap of the same namespace.
//!
//! Of a Secret, only the requested token is kept, and only in the answer.

mod contents;
mod reader;
mod refusals;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt;
use kube::Client;
use logstream_core::{
    correlate::Observation,
    extract::TokenSource,
    identity::{Subject, Uid},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    lookup::QueueFull,
    metrics::{Metrics, ReferenceOutcome},
};
use reader::Reader;

/// Maximum number of searches of each [`Lane`]; each takes some 500 bytes while it waits.
const MAX_SEARCHES: usize = 1_024;

/// Group of searches that never wait for those of the other group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// Searches for a key that the spec names.
    Keys,
    /// Searches for a key that an object may or may not hold (`envFrom`). Half the pods of a cluster have one.
    Possibilities,
}

impl Lane {
    fn of(source: &TokenSource) -> Self {
        match source {
            TokenSource::Reference(references) if references.iter().all(|reference| reference.whole) => {
                Self::Possibilities
            }
            TokenSource::Reference(_) | TokenSource::Value(_) => Self::Keys,
        }
    }
}

/// Handle for requesting tokens in Secrets and ConfigMaps. Clones share the table.
#[derive(Debug, Clone)]
pub struct References {
    table: Table,
    queue: mpsc::Sender<Search>,
}

impl References {
    /// Requests the token of an object's agent. The answer is sent once, as [`Observation::Resolved`], unless
    /// [`References::forget`] is called before. A search that already exists is not started again.
    pub fn ask(&self, subject: Subject, source: TokenSource) -> Result<(), QueueFull> {
        let mut searches = self.table.lock();
        let lane = Lane::of(&source);
        let is_in_lane = |alive: &&Alive| Lane::of(&alive.source) == lane;
        if searches.values().flatten().filter(is_in_lane).count() >= MAX_SEARCHES {
            return Err(QueueFull);
        }
        let of_subject = searches.entry(subject.uid).or_default();
        if of_subject.iter().any(|alive| alive.source == source) {
            return Ok(());
        }
        let forgotten = CancellationToken::new();
        of_subject.push(Alive { source: source.clone(), forgotten: forgotten.clone() });
        drop(searches);
        let uid = subject.uid;
        self.queue.try_send(Search { subject, source, forgotten }).map_err(|refused| {
            let Search { source, forgotten, .. } = refused.into_inner();
            self.table.end(uid, &source, &forgotten);
            QueueFull
        })
    }

    /// Cancels the searches for an object that is gone. They get no answer.
    pub fn forget(&self, uid: Uid) {
        let mut searches = self.table.lock();
        for search in searches.remove(&uid).into_iter().flatten() {
            search.forgotten.cancel();
        }
    }
}

/// Waiting and running searches, by subject.
#[derive(Debug, Clone, Default)]
struct Table(Arc<Mutex<HashMap<Uid, Vec<Alive>>>>);

#[derive(Debug)]
struct Alive {
    source: TokenSource,
    forgotten: CancellationToken,
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uid, Vec<Alive>>> {
        // A panic elsewhere leaves the map intact: each change to it is a single call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a search that ended by itself. If it was forgotten meanwhile, an existing entry belongs to another
    /// search.
    fn end(&self, uid: Uid, source: &TokenSource, forgotten: &CancellationToken) {
        let mut searches = self.lock();
        if forgotten.is_cancelled() {
            return;
        }
        if let Some(of_subject) = searches.get_mut(&uid) {
            of_subject.retain(|alive| alive.source != *source);
            if of_subject.is_empty() {
                searches.remove(&uid);
            }
        }
    }
}

#[derive(Debug)]
struct Search {
    subject: Subject,
    source: TokenSource,
    forgotten: CancellationToken,
}

/// Worker that runs the searches.
pub(super) struct Resolver {
    queue: mpsc::Receiver<Search>,
    table: Table,
    reader: Reader,
    out: mpsc::Sender<Observation>,
    metrics: Metrics,
}

impl Resolver {
    pub(super) fn new(client: Client, out: mpsc::Sender<Observation>, metrics: Metrics) -> (References, Self) {
        let (sender, queue) = mpsc::channel(2 * MAX_SEARCHES);
        let table = Table::default();
        let reader = Reader::new(client);
        (References { table: table.clone(), queue: sender }, Self { queue, table, reader, out, metrics })
    }

    /// Runs until all [`References`] are dropped or the output is closed.
    pub(super) async fn run(self) {
        let Self { mut queue, table, reader, out, metrics } = self;
        let (table, reader, out, metrics) = (&table, &reader, &out, &metrics);
        let searches = futures::stream::poll_fn(move |context| queue.poll_recv(context));
        let answers = searches
            .map(|Search { subject, source, forgotten }| async move {
                let found = forgotten.run_until_cancelled(reader.search(&subject, &source)).await;
                let Some((token, outcome)) = found else {
                    metrics.reference(ReferenceOutcome::Forgotten);
                    return Ok(());
                };
                metrics.reference(outcome);
                table.end(subject.uid, &source, &forgotten);
                out.send(Observation::Resolved { subject, source, token }).await
            })
            .buffer_unordered(2 * MAX_SEARCHES);
        let mut answers = std::pin::pin!(answers);
        while let Some(Ok(())) = answers.next().await {}
    }
}
