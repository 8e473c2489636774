//! The objects that carry agents.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use crate::{identity::Uid, token::AgentToken};

/// Objects read from the API server, with the agents in their own specs.
#[derive(Debug, Default)]
pub(super) struct Carriers {
    objects: HashMap<Uid, Arc<[AgentToken]>>,
    /// Number of objects for each agent.
    counts: HashMap<AgentToken, u32>,
}

impl Carriers {
    /// Sets the agents of an object. Returns those that no object carried before, and those that none carries any more.
    pub(super) fn set(&mut self, uid: Uid, agents: Arc<[AgentToken]>) -> (Vec<AgentToken>, Vec<AgentToken>) {
        let mut started = Vec::new();
        for &agent in agents.iter() {
            let count = self.counts.entry(agent).or_default();
            *count += 1;
            if *count == 1 {
                started.push(agent);
            }
        }
        let before = self.objects.insert(uid, agents).unwrap_or_default();
        (started, self.release(&before))
    }

    /// Removes an object that is gone. Returns the agents that no object carries any more.
    pub(super) fn remove(&mut self, uid: Uid) -> Vec<AgentToken> {
        let before = self.objects.remove(&uid).unwrap_or_default();
        self.release(&before)
    }

    fn release(&mut self, agents: &[AgentToken]) -> Vec<AgentToken> {
        let mut ended = Vec::new();
        for &agent in agents {
            if let Entry::Occupied(mut count) = self.counts.entry(agent) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                    ended.push(agent);
                }
            }
        }
        ended
    }

    /// Returns the number of objects.
    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(digit: u8) -> AgentToken {
        AgentToken::parse(&format!("{digit}2222222-2222-4333-8444-555555555555")).unwrap()
    }

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    #[test]
    fn an_agent_starts_with_its_first_object_and_ends_with_its_last() {
        let mut carriers = Carriers::default();
        let agents: Arc<[AgentToken]> = [token(1)].into();
        assert_eq!(carriers.set(uid("ws"), agents.clone()), (vec![token(1)], vec![]));
        assert_eq!(carriers.set(uid("ws-1"), agents.clone()), (vec![], vec![]));
        assert_eq!(carriers.set(uid("ws-1"), agents), (vec![], vec![]));
        assert_eq!(carriers.remove(uid("ws-1")), []);
        assert_eq!(carriers.remove(uid("ws-1")), []);
        assert_eq!(carriers.remove(uid("ws")), [token(1)]);
        assert_eq!((carriers.len(), carriers.counts.len()), (0, 0));
    }

    #[test]
    fn a_changed_object_starts_and_ends_only_the_agents_that_changed() {
        let mut carriers = Carriers::default();
        carriers.set(uid("ws"), [token(1), token(2)].into());
        assert_eq!(carriers.set(uid("ws"), [token(2), token(3)].into()), (vec![token(3)], vec![token(1)]));
        assert_eq!(carriers.remove(uid("ws")), [token(2), token(3)]);
    }
}
