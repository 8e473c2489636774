//! The store that webhook and watch share: pending registrations, and which object carries which agent.
//!
//! A registration is **pending** after admission, **confirmed** once the object was read from the API server and its own
//! spec contains the token, and **ends** with the object. A pending registration gives delivery a head start; lines go
//! only to confirmed agents.

mod metrics;
mod pending;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::SignedDuration;
use logstream_core::{
    correlate::{AgentIndex, Confirmation},
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

/// Pending registrations and confirmed agents. The lock is held for a few map operations, never during I/O.
pub struct Registry {
    state: Mutex<State>,
    prepare: Prepare,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    pending: PendingRegistrations,
    /// Objects read from the API server, with the agents in their own specs.
    confirmed: HashMap<Uid, Arc<[AgentToken]>>,
    /// Number of confirmed objects for each agent.
    carriers: HashMap<AgentToken, u32>,
}

impl Registry {
    /// Creates an empty registry.
    pub fn new(prepare: Prepare, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        Self { state: Mutex::default(), prepare, clock, metrics }
    }

    /// True for the token of any workspace's agent, whether registered at admission or read from the API server.
    pub fn knows(&self, token: AgentToken) -> bool {
        let state = self.state();
        state.carriers.contains_key(&token) || state.pending.knows(token)
    }

    /// Forgets which objects carry which agents. Pending registrations stay.
    pub fn forget_confirmed(&self) {
        let mut state = self.state();
        state.confirmed.clear();
        state.carriers.clear();
        self.metrics.confirmed.set(0);
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
            let carriers = &state.carriers;
            new.into_iter().filter(|token| !carriers.contains_key(token)).collect::<Vec<_>>()
        };
        for token in new {
            (self.prepare)(token);
        }
    }
}

impl AgentIndex for Registry {
    fn is_registered(&self, subject: &Subject) -> bool {
        self.state().pending.names(subject)
    }

    fn confirm(&self, subject: &Subject, controller: Option<Uid>, agents: Arc<[AgentToken]>) -> Confirmation {
        let mut state = self.state();
        let registered = state.pending.confirm(subject, controller);
        let before = state.confirmed.insert(subject.uid, agents.clone());
        let mut new_agents = Vec::new();
        for &agent in agents.iter() {
            if before.as_ref().is_some_and(|before| before.contains(&agent)) {
                continue;
            }
            let carriers = state.carriers.entry(agent).or_default();
            *carriers += 1;
            if *carriers == 1 {
                new_agents.push(agent);
            }
        }
        self.metrics.pending.set(state.pending.len());
        self.metrics.confirmed.set(state.confirmed.len());
        Confirmation { registered, new_agents }
    }

    fn end(&self, uid: Uid) -> Vec<AgentToken> {
        let mut state = self.state();
        let agents = state.confirmed.remove(&uid).unwrap_or_else(|| Arc::from([]));
        let mut ended = Vec::new();
        for &agent in agents.iter() {
            if let Some(carriers) = state.carriers.get_mut(&agent) {
                *carriers -= 1;
                if *carriers == 0 {
                    state.carriers.remove(&agent);
                    ended.push(agent);
                }
            }
        }
        self.metrics.confirmed.set(state.confirmed.len());
        ended
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
    fn a_pending_registration_confirms_no_agent() {
        let (registry, _) = registry();
        registry.register(registration(Kind::Pod, Some("ws"), None));
        assert!(registry.state().confirmed.is_empty() && registry.state().carriers.is_empty());
    }

    #[test]
    fn tokens_are_known_from_registrations_and_from_objects() {
        let (registry, _) = registry();
        assert!(!registry.knows(token()));
        registry.confirm(&subject(Kind::Pod, "ws"), None, [token()].into());
        assert!(registry.knows(token()));
        registry.end(uid("ws"));
        assert!(!registry.knows(token()));
        registry.register(registration(Kind::Pod, Some("ws"), None));
        assert!(registry.knows(token()));
    }

    #[test]
    fn an_agent_starts_with_its_first_object_and_ends_with_its_last() {
        let (registry, _) = registry();
        let agents: Arc<[AgentToken]> = [token()].into();
        registry.register(registration(Kind::Pod, None, Some(uid("ws"))));
        let confirmed = registry.confirm(&subject(Kind::ReplicaSet, "ws"), None, agents.clone());
        assert_eq!(confirmed, Confirmation { registered: false, new_agents: vec![token()] });
        let confirmed = registry.confirm(&subject(Kind::Pod, "ws-1"), Some(uid("ws")), agents.clone());
        assert_eq!(confirmed, Confirmation { registered: true, new_agents: vec![] });
        registry.confirm(&subject(Kind::Pod, "ws-1"), Some(uid("ws")), agents);
        assert_eq!(registry.end(uid("ws-1")), []);
        assert_eq!(registry.end(uid("ws-1")), []);
        assert_eq!(registry.end(uid("ws")), [token()]);
    }
}
