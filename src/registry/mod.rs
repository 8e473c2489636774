//! The store that both halves of the program share: the webhook's claims, and who carries which agent.
//!
//! A registration starts as a **claim**, is **bound** when the object itself was read from the API server and its
//! own spec carries the token, and **ends** with the object. A claim is a head start and never an address.

mod claims;
mod metrics;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::SignedDuration;
use logstream_core::{
    correlate::{Binding, Directory},
    identity::{Subject, Uid},
    registration::Registration,
    token::AgentToken,
};
use logstream_webhook::Registrar;

use self::claims::Claims;
pub use self::metrics::Metrics;
use crate::runtime::Clock;

/// How many claims are kept, each some hundred bytes. A claim beyond is not kept: its object is then found by the
/// watch like one that admission missed.
const MAX_CLAIMS: usize = 20_000;

/// A claim that nobody bound by then is forgotten: a refused ReplicaSet is tried again within minutes, and claims
/// anew.
const CLAIM_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// Told of an agent that admission saw for the first time. Must not block.
pub type Prepare = Box<dyn Fn(AgentToken) + Send + Sync>;

/// The registry. Its lock is held for a few map operations at a time, never over I/O.
pub struct Registry {
    state: Mutex<State>,
    prepare: Prepare,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    claims: Claims,
    /// Objects that were read from the API server, and the agents that their own specs carry.
    bound: HashMap<Uid, Arc<[AgentToken]>>,
    /// How many bound objects carry each agent.
    carriers: HashMap<AgentToken, u32>,
}

impl Registry {
    /// An empty registry.
    pub fn new(prepare: Prepare, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        Self { state: Mutex::default(), prepare, clock, metrics }
    }

    /// Whether this is the token of an agent of any workspace, claimed at admission or read from the API server.
    pub fn knows(&self, token: AgentToken) -> bool {
        let state = self.state();
        state.carriers.contains_key(&token) || state.claims.knows(token)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No holder panics half way: each changes one map after another without a fallible step between.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registrar for Registry {
    fn register(&self, registration: Registration) {
        let now = self.clock.now();
        let new = {
            let mut state = self.state();
            let expired = state.claims.expire(now, CLAIM_LIFETIME);
            self.metrics.expired.inc_by(expired);
            let new = state.claims.add(registration, now, MAX_CLAIMS).unwrap_or_else(|claims::Full| {
                self.metrics.refused.inc();
                Vec::new()
            });
            self.metrics.claims.set(state.claims.len());
            let carriers = &state.carriers;
            new.into_iter().filter(|token| !carriers.contains_key(token)).collect::<Vec<_>>()
        };
        for token in new {
            (self.prepare)(token);
        }
    }
}

impl Directory for Registry {
    fn claimed(&self, subject: &Subject) -> bool {
        self.state().claims.names(subject)
    }

    fn bind(&self, subject: &Subject, controller: Option<Uid>, agents: Arc<[AgentToken]>) -> Binding {
        let mut state = self.state();
        let claimed = state.claims.bind(subject, controller);
        let before = state.bound.insert(subject.uid, agents.clone());
        let mut opened = Vec::new();
        for &agent in agents.iter() {
            if before.as_ref().is_some_and(|before| before.contains(&agent)) {
                continue;
            }
            let carriers = state.carriers.entry(agent).or_default();
            *carriers += 1;
            if *carriers == 1 {
                opened.push(agent);
            }
        }
        self.metrics.claims.set(state.claims.len());
        self.metrics.bound.set(state.bound.len());
        Binding { claimed, opened }
    }

    fn end(&self, uid: Uid) -> Vec<AgentToken> {
        let mut state = self.state();
        let agents = state.bound.remove(&uid).unwrap_or_else(|| Arc::from([]));
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
        self.metrics.bound.set(state.bound.len());
        ended
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use logstream_core::identity::{Kind, Owner};

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

    fn claim(kind: Kind, name: Option<&str>, controller: Option<Uid>) -> Registration {
        Registration {
            kind,
            namespace: "ns".into(),
            name: name.map(Into::into),
            controller,
            tokens: vec![token()],
            owner: Owner { user: "alice".into(), workspace: "dev".into() },
        }
    }

    fn registry() -> (Arc<Registry>, Arc<Mutex<Vec<AgentToken>>>) {
        let prepared: Arc<Mutex<Vec<AgentToken>>> = Arc::default();
        let seen = prepared.clone();
        let prepare: Prepare = Box::new(move |token| seen.lock().unwrap().push(token));
        (Arc::new(Registry::new(prepare, Arc::new(|| Timestamp::UNIX_EPOCH), Metrics::default())), prepared)
    }

    #[test]
    fn retries_of_one_replicaset_are_one_claim_and_prepare_once() {
        let (registry, prepared) = registry();
        registry.register(claim(Kind::ReplicaSet, Some("ws"), None));
        for _ in 0..10 {
            registry.register(claim(Kind::Pod, None, Some(uid("ws"))));
        }
        assert_eq!(registry.state().claims.len(), 2);
        assert_eq!(prepared.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_claim_tells_whom_to_look_up() {
        let (registry, _) = registry();
        registry.register(claim(Kind::ReplicaSet, Some("ws"), None));
        assert!(registry.claimed(&subject(Kind::ReplicaSet, "ws")));
        assert!(registry.claimed(&subject(Kind::Pod, "ws-x7k2p")));
        assert!(!registry.claimed(&subject(Kind::Pod, "other-x7k2p")));
        let elsewhere = Subject { namespace: "other".into(), ..subject(Kind::ReplicaSet, "ws") };
        assert!(!registry.claimed(&elsewhere));
    }

    #[test]
    fn a_claim_gives_no_agent_to_anybody() {
        let (registry, _) = registry();
        registry.register(claim(Kind::Pod, Some("ws"), None));
        assert!(registry.state().bound.is_empty() && registry.state().carriers.is_empty());
    }

    #[test]
    fn tokens_are_known_from_claims_and_from_objects() {
        let (registry, _) = registry();
        assert!(!registry.knows(token()));
        registry.bind(&subject(Kind::Pod, "ws"), None, [token()].into());
        assert!(registry.knows(token()));
        registry.end(uid("ws"));
        assert!(!registry.knows(token()));
        registry.register(claim(Kind::Pod, Some("ws"), None));
        assert!(registry.knows(token()));
    }

    #[test]
    fn an_agent_opens_with_its_first_carrier_and_ends_with_its_last() {
        let (registry, _) = registry();
        let agents: Arc<[AgentToken]> = [token()].into();
        registry.register(claim(Kind::Pod, None, Some(uid("ws"))));
        let bound = registry.bind(&subject(Kind::ReplicaSet, "ws"), None, agents.clone());
        assert_eq!(bound, Binding { claimed: false, opened: vec![token()] });
        let bound = registry.bind(&subject(Kind::Pod, "ws-1"), Some(uid("ws")), agents.clone());
        assert_eq!(bound, Binding { claimed: true, opened: vec![] });
        registry.bind(&subject(Kind::Pod, "ws-1"), Some(uid("ws")), agents);
        assert_eq!(registry.end(uid("ws-1")), []);
        assert_eq!(registry.end(uid("ws-1")), []);
        assert_eq!(registry.end(uid("ws")), [token()]);
    }
}
