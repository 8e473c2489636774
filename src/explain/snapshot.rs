//! The present state of the cluster, read by the watch.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use logstream_core::{
    correlate::{Object, Observation},
    fact_id::ScopeId,
    identity::Uid,
    object::Event,
    resource::{Kind, Resource},
};
use tokio::{
    sync::mpsc,
    time::{Instant, interval},
};

use super::{error::Problem, progress::Progress};
use crate::watch::{Now, Reason, Scopes, SyncStates};

/// Duration after which a request that keeps failing ends the command.
const PATIENCE: Duration = Duration::from_secs(5);

/// Interval at which progress is shown.
const REDRAW: Duration = Duration::from_millis(100);

/// Objects and Events.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) objects: HashMap<Uid, (ScopeId, Object)>,
    pub(super) events: Vec<(ScopeId, Box<Event>)>,
    /// Scopes that may not be read.
    pub(super) denied: BTreeSet<ScopeId>,
}

impl Snapshot {
    /// Number of objects and Events.
    fn len(&self) -> usize {
        self.objects.len() + self.events.len()
    }

    fn take(&mut self, observation: Observation) {
        match observation {
            Observation::Seen { scope, object, .. } => {
                if let Some(uid) = object.meta().uid {
                    self.objects.insert(uid, (scope, object));
                }
            }
            Observation::Gone { object, .. } => {
                if let Some(uid) = object.meta().uid {
                    self.objects.remove(&uid);
                }
            }
            Observation::Event { scope, event } => self.events.push((scope, event)),
            _ => {}
        }
    }
}

/// Reads until every scope was listed once. Workloads that may not be read are left out; without Pods or Events there
/// is nothing to explain.
pub(super) async fn read(
    observations: &mut mpsc::Receiver<Observation>,
    states: &SyncStates,
    scopes: &Scopes,
    progress: &mut Progress,
) -> Result<Snapshot, Problem> {
    let mut snapshot = Snapshot::default();
    let mut listed = BTreeSet::new();
    let mut failing: HashMap<ScopeId, Instant> = HashMap::new();
    let mut changes = states.subscribe();
    let mut redraw = interval(REDRAW);
    loop {
        tokio::select! {
            observation = observations.recv() => match observation {
                Some(Observation::Synced(scope)) => {
                    listed.insert(scope);
                }
                Some(observation) => snapshot.take(observation),
                None => return Err(Problem::Unreadable("the watch ended".to_owned())),
            },
            _ = changes.changed() => {}
            _ = redraw.tick() => progress.show(snapshot.len()),
        }
        check(states, scopes, &mut snapshot.denied, &mut failing)?;
        if scopes.iter().all(|(scope, _)| listed.contains(&scope) || snapshot.denied.contains(&scope)) {
            return Ok(snapshot);
        }
    }
}

/// Records scopes that may not be read. Returns an error for failures that do not go away by themselves.
fn check(
    states: &SyncStates,
    scopes: &Scopes,
    denied: &mut BTreeSet<ScopeId>,
    failing: &mut HashMap<ScopeId, Instant>,
) -> Result<(), Problem> {
    for (id, scope) in scopes.iter() {
        let Some(state) = states.get(id) else { continue };
        let Now::Failing { reason, text } = state.now else {
            failing.remove(&id);
            continue;
        };
        match reason {
            Reason::Forbidden if matches!(scope.resource, Resource::Objects(Kind::Pod) | Resource::Events) => {
                return Err(Problem::Forbidden(scope.clone()));
            }
            Reason::Forbidden => {
                denied.insert(id);
            }
            Reason::Unauthorized | Reason::NotFound | Reason::Refused => {
                return Err(Problem::Unreadable(text.to_string()));
            }
            Reason::Overloaded | Reason::Unreachable | Reason::Undecodable | Reason::Gone => {
                if failing.entry(id).or_insert_with(Instant::now).elapsed() >= PATIENCE {
                    return Err(Problem::Unreadable(text.to_string()));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        explain::Reading,
        watch::testing::{Answer, Script, added, listed},
    };

    /// Reads a cluster with one pod, and otherwise as scripted.
    async fn read_from(script: Script) -> Result<Snapshot, Problem> {
        let pod = json!({ "kind": "Pod", "apiVersion": "v1",
            "metadata": { "name": "dev", "namespace": "ns", "uid": "1", "resourceVersion": "5" } });
        let server = script
            .always("/pods?watch=true", Answer::watch(&[added(&pod), listed(7)]))
            .always("watch=true", Answer::watch(&[listed(7)]))
            .start();
        let scopes = Arc::new(Scopes::new(&["ns".to_owned()]));
        let mut reading = Reading::start(&server.client(), &scopes);
        let mut progress = Progress::new("reading".to_owned());
        read(&mut reading.observations, &reading.states, &scopes, &mut progress).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_is_complete_when_every_scope_was_listed() {
        let snapshot = read_from(Script::new()).await.unwrap();
        assert_eq!((snapshot.len(), snapshot.denied.len()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn workloads_that_may_not_be_read_are_left_out() {
        let snapshot = read_from(Script::new().always("/jobs?", Answer::status(403, "no"))).await.unwrap();
        assert_eq!((snapshot.len(), snapshot.denied.len()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn without_pods_or_events_there_is_no_snapshot() {
        for stream in ["events", "pods"] {
            let script = Script::new().always(&format!("/{stream}?"), Answer::status(403, "no"));
            match read_from(script).await {
                Err(Problem::Forbidden(scope)) => assert_eq!(scope.resource.plural(), stream),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_login_ends_at_once_and_a_failing_connection_after_some_seconds() {
        let began = Instant::now();
        let problem = read_from(Script::new().always("/pods?", Answer::status(401, "Unauthorized"))).await.unwrap_err();
        assert!(problem.to_string().contains("does not accept this program's token"), "{problem}");
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());

        let problem = read_from(Script::new().always("/pods?", Answer::Unreachable)).await.unwrap_err();
        assert!(matches!(problem, Problem::Unreadable(_)), "{problem:?}");
        assert!(began.elapsed() >= PATIENCE, "{:?}", began.elapsed());
    }
}
