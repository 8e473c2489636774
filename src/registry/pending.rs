//! Pending registrations from admission: bounded, and dropped if no object confirms them.

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use logstream_core::{
    identity::{Subject, Uid},
    registration::Registration,
    resource::Kind,
    token::AgentToken,
};

/// Maximum number of tokens in one registration. No pod has nearly as many containers, but a forged review can be
/// repeated with other tokens.
const MAX_TOKENS: usize = 64;

/// Lookup key of a registration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// An object that was named at its creation.
    Named(Kind, Arc<str>, Arc<str>),
    /// The pods of a workload, which have no names yet at admission.
    PodsOf(Uid),
}

#[derive(Debug)]
struct Pending {
    at: Timestamp,
    tokens: Vec<AgentToken>,
}

/// The maximum number of registrations is pending.
#[derive(Debug)]
pub(super) struct Full;

#[derive(Debug, Default)]
pub(super) struct PendingRegistrations {
    by_key: HashMap<Key, Pending>,
    /// In order of creation. A refreshed registration keeps its first position.
    order: VecDeque<(Timestamp, Key)>,
    /// Number of registrations with each token.
    tokens: HashMap<AgentToken, u32>,
}

impl PendingRegistrations {
    /// True if a pending registration has this token.
    pub(super) fn knows(&self, token: AgentToken) -> bool {
        self.tokens.contains_key(&token)
    }

    /// Adds or refreshes a registration. Returns the tokens that no pending registration had before.
    pub(super) fn add(
        &mut self,
        registration: Registration,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<AgentToken>, Full> {
        let Registration { kind, namespace, name, controller, tokens, .. } = registration;
        let key = match (kind, name, controller) {
            (Kind::Pod, _, Some(controller)) => Key::PodsOf(controller),
            (kind, Some(name), _) => Key::Named(kind, namespace, name),
            // A bare pod with only a generateName: there is no key to find it by, and the watch will show it.
            (_, None, _) => return Ok(tokens),
        };
        if let Some(pending) = self.by_key.get_mut(&key) {
            pending.at = now;
            return Ok(take_over(&mut pending.tokens, &mut self.tokens, tokens));
        }
        if self.by_key.len() >= limit {
            return Err(Full);
        }
        // Confirmed registrations stay in the order until they expire; a steady stream of new pods would fill it.
        if self.order.len() >= 2 * limit {
            self.tidy();
        }
        let mut pending = Pending { at: now, tokens: Vec::new() };
        let new = take_over(&mut pending.tokens, &mut self.tokens, tokens);
        self.order.push_back((now, key.clone()));
        self.by_key.insert(key, pending);
        Ok(new)
    }

    /// Removes confirmed registrations and duplicates from the order.
    fn tidy(&mut self) {
        let mut placed = HashSet::new();
        let Self { by_key, order, .. } = self;
        order.retain(|(_, key)| by_key.contains_key(key) && placed.insert(key.clone()));
    }

    fn remove(&mut self, key: &Key) -> bool {
        let Some(pending) = self.by_key.remove(key) else { return false };
        for token in pending.tokens {
            if let Entry::Occupied(mut count) = self.tokens.entry(token) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        true
    }

    /// True if a registration matches this object: by its own name, or by the workload that its name starts with.
    pub(super) fn names(&self, subject: &Subject) -> bool {
        let named =
            |kind, name: &str| self.by_key.contains_key(&Key::Named(kind, subject.namespace.clone(), name.into()));
        named(subject.kind, &subject.name)
            || (subject.kind == Kind::Pod
                && subject.name.rsplit_once('-').is_some_and(|(workload, _)| {
                    Kind::ALL.iter().any(|kind| *kind != Kind::Pod && named(*kind, workload))
                }))
    }

    /// Confirms an object that was read from the API server. Returns true if admission had registered it. A
    /// registration by name is removed; that of a workload's pods stays for the pods to come.
    pub(super) fn confirm(&mut self, subject: &Subject, controller: Option<Uid>) -> bool {
        let own = Key::Named(subject.kind, subject.namespace.clone(), subject.name.clone());
        let named = self.remove(&own);
        named || controller.is_some_and(|controller| self.by_key.contains_key(&Key::PodsOf(controller)))
    }

    /// Drops registrations older than `lifetime`. Returns their number.
    pub(super) fn expire(&mut self, now: Timestamp, lifetime: SignedDuration) -> u64 {
        let mut expired = 0;
        while let Some((at, _)) = self.order.front() {
            if now.duration_since(*at) <= lifetime {
                break;
            }
            let Some((_, key)) = self.order.pop_front() else { break };
            match self.by_key.get(&key).map(|pending| pending.at) {
                // Already confirmed.
                None => {}
                Some(at) if now.duration_since(at) <= lifetime => self.order.push_back((at, key)),
                Some(_) => {
                    self.remove(&key);
                    expired += 1;
                }
            }
        }
        expired
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}

/// Adds tokens to a registration. Returns those that no registration had before.
fn take_over(
    known: &mut Vec<AgentToken>,
    counts: &mut HashMap<AgentToken, u32>,
    tokens: Vec<AgentToken>,
) -> Vec<AgentToken> {
    let mut new = Vec::new();
    for token in tokens {
        if known.len() >= MAX_TOKENS || known.contains(&token) {
            continue;
        }
        known.push(token);
        let count = counts.entry(token).or_default();
        *count += 1;
        if *count == 1 {
            new.push(token);
        }
    }
    new
}

#[cfg(test)]
mod tests {

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn registration(name: &str) -> Registration {
        Registration {
            kind: Kind::ReplicaSet,
            namespace: "ns".into(),
            name: Some(name.into()),
            controller: None,
            tokens: vec![],
        }
    }

    #[test]
    fn an_unconfirmed_registration_expires_unless_it_is_refreshed() {
        let lifetime = SignedDuration::from_secs(10);
        let mut pending = PendingRegistrations::default();
        pending.add(registration("a"), at(0), 9).unwrap();
        pending.add(registration("b"), at(0), 9).unwrap();
        pending.add(registration("b"), at(8), 9).unwrap();
        assert_eq!(pending.expire(at(11), lifetime), 1);
        assert_eq!(pending.len(), 1);
        assert_eq!(pending.expire(at(19), lifetime), 1);
        assert_eq!(pending.len(), 0);
        assert!(pending.order.is_empty());
    }

    #[test]
    fn registrations_confirmed_at_once_leave_nothing_behind() {
        let mut pending = PendingRegistrations::default();
        for number in 0..100 {
            let name = format!("ws-{number}");
            pending.add(registration(&name), at(number), 5).unwrap();
            let subject = Subject {
                kind: Kind::ReplicaSet,
                namespace: "ns".into(),
                name: name.as_str().into(),
                uid: Uid::parse(&name).unwrap(),
            };
            assert!(pending.confirm(&subject, None));
            // A name that recurs, and is pending at the end.
            pending.add(registration("again"), at(number), 5).unwrap();
            let again = Subject { name: "again".into(), ..subject };
            assert!(number == 99 || pending.confirm(&again, None));
        }
        assert!(pending.order.len() <= 10, "{}", pending.order.len());
        pending.tidy();
        assert_eq!(pending.order.len(), pending.len());
    }

    #[test]
    fn registrations_beyond_the_limit_are_rejected() {
        let mut pending = PendingRegistrations::default();
        pending.add(registration("a"), at(0), 1).unwrap();
        assert!(pending.add(registration("b"), at(0), 1).is_err());
        assert!(pending.add(registration("a"), at(0), 1).is_ok());
    }
}
