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
                None => return Err(Problem::Unreachable("the watch ended".to_owned())),
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

/// Notes scopes that may not be read, and fails for what will not get better.
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
                return Err(Problem::Unreachable(text.to_string()));
            }
            Reason::Overloaded | Reason::Unreachable | Reason::Undecodable | Reason::Gone => {
                if failing.entry(id).or_insert_with(Instant::now).elapsed() >= PATIENCE {
                    return Err(Problem::Unreachable(text.to_string()));
                }
            }
        }
    }
    Ok(())
}
