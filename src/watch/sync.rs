//! State of each scope's watch, for readiness and for operators.

use std::sync::Arc;

use logstream_core::{fact_id::ScopeId, resource::Resource};
use tokio::sync::watch;

use super::{
    failure::Reason,
    metrics::Metrics,
    scope::{Scope, Scopes},
};

/// State of a scope's watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeState {
    /// True if everything was listed at least once.
    pub listed: bool,
    /// Current activity.
    pub now: Now,
}

/// Current activity of a scope's watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Now {
    /// A list is due or in progress.
    #[default]
    Listing,
    /// Everything was listed, and is being watched.
    Watching,
    /// The last request failed and is being retried.
    Failing {
        /// Kind of the failure.
        reason: Reason,
        /// Description for operators.
        text: Arc<str>,
    },
}

/// The state of every scope's watch; clones share it.
#[derive(Debug, Clone)]
pub struct SyncStates {
    scopes: Arc<Scopes>,
    states: Arc<watch::Sender<Vec<ScopeState>>>,
    metrics: Metrics,
}

impl SyncStates {
    pub(super) fn new(scopes: Arc<Scopes>, metrics: Metrics) -> Self {
        let states = vec![ScopeState::default(); scopes.len()];
        Self { scopes, states: Arc::new(watch::Sender::new(states)), metrics }
    }

    /// The state of a scope.
    pub fn get(&self, scope: ScopeId) -> Option<ScopeState> {
        self.states.borrow().get(usize::from(scope.0)).cloned()
    }

    /// Subscribes to changes of the states, which are in the order of the scopes' ids.
    pub fn subscribe(&self) -> watch::Receiver<Vec<ScopeState>> {
        self.states.subscribe()
    }

    /// True if each scope was listed once, except optional ones. From then on nothing is missed, only late.
    pub fn all_listed(&self) -> bool {
        let states = self.states.borrow();
        let mut needed = self.scopes.iter().zip(states.iter()).filter(|((_, scope), _)| !scope.resource.is_optional());
        needed.all(|(_, state)| state.listed)
    }

    /// Problems of the scopes, one sentence each, such as `pods in ns: forbidden: …` or `events in ns: listing`.
    pub fn problems(&self) -> Vec<String> {
        let states = self.states.borrow();
        let needed = self.scopes.iter().zip(states.iter()).filter(|((_, scope), _)| !scope.resource.is_optional());
        let problems = needed.filter_map(|((_, scope), state)| match &state.now {
            Now::Watching => None,
            Now::Listing => Some(format!("{}: listing", scope.words())),
            Now::Failing { text, .. } => Some(format!("{}: {text}", scope.words())),
        });
        problems.collect()
    }

    /// Waits until each kind of object in this scope's namespace was listed, or its watch fails. For the Events of
    /// nodes, waits for the objects of all namespaces.
    pub(super) async fn objects_listed(&self, scope: ScopeId) {
        let Some(scope) = self.scopes.get(scope).cloned() else { return };
        let concerns = |other: &Scope| scope.resource == Resource::NodeEvents || other.namespace == scope.namespace;
        let mut changes = self.states.subscribe();
        let settled = |states: &Vec<ScopeState>| {
            let mut objects =
                self.scopes.iter().zip(states).filter(|((_, other), _)| !other.resource.is_events() && concerns(other));
            objects.all(|(_, state)| state.listed || matches!(state.now, Now::Failing { .. }))
        };
        // The sender is part of this value, so the channel stays open.
        let _ = changes.wait_for(settled).await;
    }

    pub(super) fn listing(&self, scope: ScopeId) {
        self.set(scope, |_| Now::Listing);
    }

    pub(super) fn watching(&self, scope: ScopeId) {
        self.set(scope, |state| {
            state.listed = true;
            Now::Watching
        });
    }

    pub(super) fn failing(&self, scope: ScopeId, reason: Reason, text: &str) {
        self.set(scope, |_| Now::Failing { reason, text: text.into() });
    }

    fn set(&self, scope: ScopeId, change: impl FnOnce(&mut ScopeState) -> Now) {
        self.states.send_if_modified(|states| {
            let Some(state) = states.get_mut(usize::from(scope.0)) else { return false };
            let before = state.clone();
            state.now = change(state);
            let changed = *state != before;
            if changed && let Some(scope) = self.scopes.get(scope).filter(|scope| !scope.resource.is_optional()) {
                self.metrics.synced(scope.resource, self.is_synced(scope.resource, states));
            }
            changed
        });
    }

    fn is_synced(&self, resource: Resource, states: &[ScopeState]) -> bool {
        let mut of_resource = self.scopes.iter().zip(states).filter(|((_, scope), _)| scope.resource == resource);
        of_resource.all(|(_, state)| state.now == Now::Watching)
    }
}

#[cfg(test)]
mod tests {
    use logstream_core::resource::Kind;

    use super::*;

    #[test]
    fn a_resource_is_synced_when_all_of_its_scopes_are_and_problems_are_named() {
        let scopes = Arc::new(Scopes::new(&["a".into(), "b".into()]));
        let metrics = Metrics::default();
        let states = SyncStates::new(scopes.clone(), metrics.clone());
        let pods = ["a", "b"].map(|namespace| scopes.covering(Resource::Objects(Kind::Pod), namespace).unwrap());
        states.watching(pods[0]);
        assert!(metrics.value("synced{stream=\"pods\"}") < 0.5);
        states.watching(pods[1]);
        assert!(metrics.value("synced{stream=\"pods\"}") > 0.5);
        assert!(!states.all_listed());

        for (scope, _) in scopes.iter() {
            states.watching(scope);
        }
        assert!(states.all_listed() && states.problems().is_empty());
        states.failing(pods[1], Reason::Forbidden, "forbidden: no");
        assert_eq!(states.problems(), ["pods in b: forbidden: no"]);
        assert!(states.all_listed(), "a failing watch has listed all the same");
        assert!(metrics.value("synced{stream=\"pods\"}") < 0.5);
    }
}
