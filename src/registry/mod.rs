//! The store that webhook and watch share: pending registrations.
//!
//! A registration is **pending** after admission, and **confirmed** once the object was read from the API server. It
//! gives delivery a head start; lines go only to live agents, which an object's own spec contains.

mod metrics;
mod pending;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::SignedDuration;
use logstream_core::{
    correlate::Registrations,
    identity::{Subject, Uid},
    registration::Registration,
    token::AgentToken,
};
use logstream_webhook::Registrar;

pub use self::metrics::Metrics;
use self::pending::PendingRegistrations;
use crate::runtime::Clock;

/// Maximum number of pending registrations, each a few hundred bytes. Further ones are rejected; the watch finds their
/// objects, as it finds those that admission missed.
const MAX_PENDING: usize = 20_000;

/// Lifetime of an unconfirmed registration. The controller of a refused pod retries within minutes, which registers it
/// again.
const PENDING_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// Called with each agent that admission sees for the first time. Must not block.
pub type Prepare = Box<dyn Fn(AgentToken) + Send + Sync>;

/// Pending registrations, and the tokens of live agents. The lock is held for a few map operations, never during I/O.
pub struct Registry {
    state: Mutex<State>,
    prepare: Prepare,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    pending: PendingRegistrations,
    /// Agents that objects carry, as the correlator reports them.
    live: HashSet<AgentToken>,
}

impl Registry {
    /// Creates an empty registry.
    pub fn new(prepare: Prepare, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        Self { state: Mutex::default(), prepare, clock, metrics }
    }

    /// True for the token of any workspace's agent, whether registered at admission or read from the API server.
    pub fn knows(&self, token: AgentToken) -> bool {
        let state = self.state();
        state.live.contains(&token) || state.pending.knows(token)
    }

    /// Records whether an object carries the agent.
    pub fn set_live(&self, token: AgentToken, live: bool) {
        let agents = &mut self.state().live;
        if live {
            agents.insert(token)
        } else {
            agents.remove(&token)
        };
    }

    /// Forgets the live agents. Pending registrations stay.
    pub fn forget_live(&self) {
        self.state().live.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is safe to use: no holder has a fallible step between its changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registrar for Registry {
    fn register(&self, registration: Registration) {
        let now = self.clock.now();
        let new = {
            let mut state = self.state();
            let expired = state.pending.expire(now, PENDING_LIFETIME);
            self.metrics.expired.inc_by(expired);
            let new = state.pending.add(registration, now, MAX_PENDING).unwrap_or_else(|pending::Full| {
                self.metrics.rejected.inc();
                Vec::new()
            });
            self.metrics.pending.set(state.pending.len());
            new.into_iter().filter(|token| !state.live.contains(token)).collect::<Vec<_>>()
        };
        for token in new {
            (self.prepare)(token);
        }
    }
}

impl Registrations for Registry {
    fn is_registered(&self, subject: &Subject) -> bool {
        self.state().pending.names(subject)
    }

    fn confirm(&self, subject: &Subject, controller: Option<Uid>) -> bool {
        let mut state = self.state();
        let registered = state.pending.confirm(subject, controller);
        self.metrics.pending.set(state.pending.len());
        registered
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use logstream_core::resource::Kind;

    use super::*;

    const A: &str = "22222222-2222-4333-8444-555555555555";

    fn token() -> AgentToken {
        AgentToken::parse(A).unwrap()
    }

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn subject(kind: Kind, name: &str) -> Subject {
        Subject { kind, namespace: "ns".into(), name: name.into(), uid: uid(name) }
    }

    fn registration(kind: Kind, name: Option<&str>, controller: Option<Uid>) -> Registration {
        Registration { kind, namespace: "ns".into(), name: name.map(Into::into), controller, tokens: vec![token()] }
    }

    fn registry() -> (Arc<Registry>, Arc<Mutex<Vec<AgentToken>>>) {
        let prepared: Arc<Mutex<Vec<AgentToken>>> = Arc::default();
        let seen = prepared.clone();
        let prepare: Prepare = Box::new(move |token| seen.lock().unwrap().push(token));
        (Arc::new(Registry::new(prepare, Arc::new(|| Timestamp::UNIX_EPOCH), Metrics::default())), prepared)
    }

    #[test]
    fn retries_of_a_replicaset_are_one_registration() {
        let (registry, prepared) = registry();
        registry.register(registration(Kind::ReplicaSet, Some("ws"), None));
        for _ in 0..10 {
            registry.register(registration(Kind::Pod, None, Some(uid("ws"))));
        }
        assert_eq!(registry.state().pending.len(), 2);
        assert_eq!(prepared.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_registration_is_found_by_name_and_by_workload() {
        let (registry, _) = registry();
        registry.register(registration(Kind::ReplicaSet, Some("ws"), None));
        assert!(registry.is_registered(&subject(Kind::ReplicaSet, "ws")));
        assert!(registry.is_registered(&subject(Kind::Pod, "ws-x7k2p")));
        assert!(!registry.is_registered(&subject(Kind::Pod, "other-x7k2p")));
        let elsewhere = Subject { namespace: "other".into(), ..subject(Kind::ReplicaSet, "ws") };
        assert!(!registry.is_registered(&elsewhere));
    }

    #[test]
    fn a_pending_registration_makes_no_agent_live() {
        let (registry, _) = registry();
        registry.register(registration(Kind::Pod, Some("ws"), None));
        assert!(registry.state().live.is_empty());
    }

    #[test]
    fn tokens_are_known_from_registrations_and_from_objects() {
        let (registry, _) = registry();
        assert!(!registry.knows(token()));
        registry.set_live(token(), true);
        assert!(registry.knows(token()));
        registry.set_live(token(), false);
        assert!(!registry.knows(token()));
        registry.register(registration(Kind::Pod, Some("ws"), None));
        assert!(registry.knows(token()));
    }

    #[test]
    fn a_live_agent_is_not_prepared_again() {
        let (registry, prepared) = registry();
        registry.set_live(token(), true);
        registry.register(registration(Kind::Pod, None, Some(uid("ws"))));
        assert_eq!(prepared.lock().unwrap().len(), 0);
    }

    #[test]
    fn an_object_is_confirmed_by_its_name_or_its_workload() {
        let (registry, _) = registry();
        registry.register(registration(Kind::Pod, None, Some(uid("ws"))));
        assert!(!registry.confirm(&subject(Kind::ReplicaSet, "ws"), None));
        assert!(registry.confirm(&subject(Kind::Pod, "ws-1"), Some(uid("ws"))));
        assert!(registry.confirm(&subject(Kind::Pod, "ws-2"), Some(uid("ws"))));
    }
}
