//! Where the watch begins: what happened before is history.

use std::collections::HashMap;

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use kube::{Client, api::ListParams, core::Request};
use logstream_core::{identity::Uid, line::ScopeId};
use serde::Deserialize;

use super::{
    ask::ask,
    backoff::Backoff,
    failure::{Failure, Reason},
    scope::{Scope, Scopes},
    slim,
};

/// As many scopes are probed at once.
const CONCURRENCY: usize = 4;
/// So often a permission is missed before it is taken for missing, over some eight seconds: an API server that has
/// just started refuses everything until it has read the roles.
const FORBIDDEN_TRIES: u32 = 5;

/// Where each scope's watch begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// All up to this revision was delivered, or is history. A scope that is not here could not be probed: its first
    /// list is history.
    pub revisions: HashMap<ScopeId, u64>,
    /// Subjects with Events that were handed on before a restart and not delivered, and the revision of the first.
    /// Undelivered facts of objects themselves are the correlator's to know: an object is listed whatever its age.
    pub pending: HashMap<Uid, u64>,
    /// The API server's clock when this was found out.
    pub since: Timestamp,
}

/// What an earlier process left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// Up to where each scope's facts were delivered.
    pub revisions: HashMap<ScopeId, u64>,
    /// See [`Baseline::pending`].
    pub pending: HashMap<Uid, u64>,
}

/// Asks the API server where its history stands now, and joins that with what was saved.
///
/// A scope begins where saved progress left it, or now. Where the cluster's history is shorter than the saved progress
/// (etcd was restored from a backup) it begins now. While the API server is away this waits and tries again; it ends
/// with an answer or by being dropped. A scope that may not be listed is left out. `local` is this machine's clock,
/// used only if no answer is dated.
pub async fn probe(client: &Client, scopes: &Scopes, saved: Saved, local: Timestamp) -> Baseline {
    let mut probes = probes(client, scopes);
    let mut baseline = Baseline { revisions: saved.revisions, pending: saved.pending, since: local };
    let mut dated = false;
    while let Some((id, scope, probed)) = probes.next().await {
        let Some(Probed { revision: current, date }) = probed else { continue };
        if let Some(date) = date.filter(|date| !dated || *date < baseline.since) {
            baseline.since = date;
            dated = true;
        }
        let begin = baseline.revisions.entry(id).or_insert(current);
        if *begin > current {
            tracing::warn!(scope = scope.key(), saved = *begin, current, "the cluster's history went back");
            *begin = current;
        }
    }
    baseline
}

fn probes(client: &Client, scopes: &Scopes) -> BoxStream<'static, (ScopeId, Scope, Option<Probed>)> {
    let owned: Vec<_> = scopes.iter().map(|(id, scope)| (client.clone(), id, scope.clone())).collect();
    stream::iter(owned)
        .map(|(client, id, scope)| async move {
            let probed = persistently(&client, &scope).await;
            (id, scope, probed)
        })
        .buffer_unordered(CONCURRENCY)
        .boxed()
}

/// An answer to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probed {
    /// The current resourceVersion.
    pub(super) revision: u64,
    date: Option<Timestamp>,
}

async fn persistently(client: &Client, scope: &Scope) -> Option<Probed> {
    let mut backoff = Backoff::of_requests();
    let mut told = String::new();
    loop {
        let failure = match current(client, scope).await {
            Ok(probed) => return Some(probed),
            Err(failure) => failure,
        };
        if failure.text != told {
            tracing::warn!(scope = scope.key(), error = %failure, "revision not known");
            told.clone_from(&failure.text);
        }
        let refused = matches!(failure.reason, Reason::Forbidden | Reason::NotFound);
        if refused && backoff.tries() >= FORBIDDEN_TRIES {
            // The watch says it again, and readiness shows it: the other scopes need not wait.
            return None;
        }
        tokio::time::sleep(backoff.wait()).await;
    }
}

/// The current resourceVersion of a scope, by the shortest consistent list there is.
pub(super) async fn current(client: &Client, scope: &Scope) -> Result<Probed, Failure> {
    #[derive(Deserialize)]
    struct List {
        metadata: ListMeta,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ListMeta {
        resource_version: String,
    }

    let path = slim::path(scope.stream, scope.namespace.as_deref());
    let answer = ask(client, Request::new(path).list_metadata(&ListParams::default().limit(1))).await?;
    let list: List = answer.decode()?;
    let revision = list.metadata.resource_version.parse().map_err(|_| Failure::undecodable())?;
    Ok(Probed { revision, date: answer.date })
}

#[cfg(test)]
mod tests {
    use logstream_core::line::Stream;

    use super::*;
    use crate::watch::testing::{Answer, Script};

    fn local() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn list(revision: u64) -> Answer {
        Answer::list(revision, &[]).dated("Mon, 23 Nov 2026 05:11:54 GMT")
    }

    #[tokio::test(start_paused = true)]
    async fn a_scope_begins_where_it_was_left_or_now_and_the_time_is_the_servers() {
        let server = Script::new().always("limit=1", list(100)).start();
        let scopes = Scopes::new(&["ns".into()]);
        let pods = scopes.covering(Stream::Pods, "ns").unwrap();
        let jobs = scopes.covering(Stream::Jobs, "ns").unwrap();
        let events = scopes.covering(Stream::Events, "ns").unwrap();
        let revisions = HashMap::from([(pods, 90), (jobs, 4_000)]);
        let saved = Saved { revisions, pending: HashMap::from([(Uid::parse("u").unwrap(), 80)]) };
        let baseline = probe(&server.client(), &scopes, saved.clone(), local()).await;
        assert_eq!(baseline.revisions[&pods], 90);
        assert_eq!(baseline.revisions[&events], 100);
        assert_eq!(baseline.revisions[&jobs], 100, "a restored cluster has a shorter history");
        assert_eq!(baseline.pending, saved.pending);
        assert_eq!(baseline.since, "2026-11-23T05:11:54Z".parse().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_is_away_is_waited_for_and_a_forbidden_scope_is_not() {
        let server = Script::new()
            .on("/pods?", Answer::Unreachable)
            .on("/pods?", Answer::status(503, "starting"))
            .on("/pods?", Answer::status(403, "roles not read yet"))
            .always("/jobs?", Answer::status(403, "no"))
            .always("limit=1", list(7))
            .start();
        let scopes = Scopes::new(&[]);
        let baseline = probe(&server.client(), &scopes, Saved::default(), local()).await;
        let known: Vec<_> = scopes.iter().filter(|(id, _)| baseline.revisions.contains_key(id)).collect();
        assert_eq!(known.len(), 4);
        assert!(known.iter().all(|(_, scope)| scope.stream != Stream::Jobs));
    }
}
