//! The priority queue of agents with something to send: by urgency, then by order of arrival.

use std::collections::BTreeMap;

use logstream_core::token::AgentToken;

/// Coder's endpoints. Each has a rate limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Endpoint {
    LogSource,
    Logs,
}

/// The purpose of an agent's next request. A retry has the same urgency as the first try, and is a priority of its own
/// with a smaller share of the requests in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Its first lines; the log source is registered.
    FirstLines,
    RetryFirstLines,
    /// Its log source, so that lines can follow.
    Register,
    RetryRegister,
    /// Lines after the first.
    FurtherLines,
    RetryFurtherLines,
    /// A try of a token that is not valid yet.
    Probe,
    /// Repeats of lines that were delivered before.
    Repeats,
    RetryRepeats,
    /// The log source of an expected agent, ahead of its first line.
    Prepare,
}

impl Priority {
    pub(crate) const ALL: [Self; 10] = [
        Self::FirstLines,
        Self::RetryFirstLines,
        Self::Register,
        Self::RetryRegister,
        Self::FurtherLines,
        Self::RetryFurtherLines,
        Self::Probe,
        Self::Repeats,
        Self::RetryRepeats,
        Self::Prepare,
    ];

    /// The priorities of each urgency, the most urgent first. Within one urgency the order of arrival counts.
    pub(crate) const BY_URGENCY: [&[Self]; 6] = [
        &[Self::FirstLines, Self::RetryFirstLines],
        &[Self::Register, Self::RetryRegister],
        &[Self::FurtherLines, Self::RetryFurtherLines],
        &[Self::Probe],
        &[Self::Repeats, Self::RetryRepeats],
        &[Self::Prepare],
    ];

    /// The priority of a retry.
    pub(crate) fn retry(self) -> Self {
        match self {
            Self::FirstLines => Self::RetryFirstLines,
            Self::Register => Self::RetryRegister,
            Self::FurtherLines => Self::RetryFurtherLines,
            Self::Repeats => Self::RetryRepeats,
            other => other,
        }
    }

    pub(crate) fn endpoint(self) -> Endpoint {
        match self {
            Self::Register | Self::RetryRegister | Self::Probe | Self::Prepare => Endpoint::LogSource,
            Self::FirstLines
            | Self::RetryFirstLines
            | Self::FurtherLines
            | Self::RetryFurtherLines
            | Self::Repeats
            | Self::RetryRepeats => Endpoint::Logs,
        }
    }

    /// Share of the requests in flight that this priority may use, as a divisor. Requests that hang until they time out
    /// must not block others.
    pub(crate) fn divisor(self) -> usize {
        match self {
            Self::FirstLines | Self::Register | Self::FurtherLines | Self::Repeats => 1,
            Self::RetryFirstLines
            | Self::RetryRegister
            | Self::RetryFurtherLines
            | Self::RetryRepeats
            | Self::Probe => 4,
            Self::Prepare => 16,
        }
    }
}

/// Position of an agent in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) priority: Priority,
    /// Its number in the order of arrival, over all priorities.
    pub(crate) number: i64,
}

/// Agents by priority and order of arrival. Each agent has at most one position, which bounds the size.
#[derive(Debug)]
pub(crate) struct PriorityQueue {
    positions: [BTreeMap<i64, AgentToken>; Priority::ALL.len()],
    next: i64,
    first: i64,
}

impl PriorityQueue {
    pub(crate) fn new() -> Self {
        Self { positions: Default::default(), next: 0, first: -1 }
    }

    /// Appends an agent to a priority.
    pub(crate) fn join(&mut self, priority: Priority, agent: AgentToken) -> Position {
        let number = self.next;
        self.next += 1;
        self.positions[priority as usize].insert(number, agent);
        Position { priority, number }
    }

    /// Puts an agent at the head of a priority, because its turn was taken back.
    pub(crate) fn rejoin(&mut self, priority: Priority, agent: AgentToken) -> Position {
        let number = self.first;
        self.first -= 1;
        self.positions[priority as usize].insert(number, agent);
        Position { priority, number }
    }

    /// Puts an agent back at the number it had before, which must be free.
    pub(crate) fn rejoin_at(&mut self, priority: Priority, number: i64, agent: AgentToken) -> Position {
        self.positions[priority as usize].insert(number, agent);
        Position { priority, number }
    }

    pub(crate) fn leave(&mut self, position: Position) {
        self.positions[position.priority as usize].remove(&position.number);
    }

    /// Takes the first agent of a priority, with its number.
    pub(crate) fn pop(&mut self, priority: Priority) -> Option<(i64, AgentToken)> {
        self.positions[priority as usize].pop_first()
    }

    /// Number of the first agent of a priority.
    pub(crate) fn first(&self, priority: Priority) -> Option<i64> {
        self.positions[priority as usize].first_key_value().map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(number: u8) -> AgentToken {
        AgentToken::parse(&format!("00000000-0000-4000-8000-0000000000{number:02x}")).unwrap()
    }

    #[test]
    fn a_lane_is_in_the_order_of_arrival_and_a_turn_taken_back_comes_first() {
        let mut queue = PriorityQueue::new();
        queue.join(Priority::Probe, agent(1));
        let position = queue.join(Priority::Probe, agent(2));
        queue.join(Priority::Probe, agent(3));
        queue.leave(position);
        let pop = |queue: &mut PriorityQueue| queue.pop(Priority::Probe).map(|(_, agent)| agent);
        assert_eq!(pop(&mut queue), Some(agent(1)));
        queue.rejoin(Priority::Probe, agent(1));
        assert_eq!(pop(&mut queue), Some(agent(1)));
        assert_eq!(pop(&mut queue), Some(agent(3)));
        assert_eq!(pop(&mut queue), None);
        assert_eq!(queue.first(Priority::Probe), None);
    }

    #[test]
    fn each_lane_has_one_urgency_and_one_endpoint() {
        let by_urgency: Vec<_> = Priority::BY_URGENCY.into_iter().flatten().copied().collect();
        assert_eq!(by_urgency, Priority::ALL);
        for queue in Priority::BY_URGENCY {
            assert!(queue.iter().all(|priority| priority.endpoint() == queue[0].endpoint()));
            assert!(queue.iter().all(|priority| queue.contains(&priority.retry())));
        }
    }

    #[test]
    fn every_lane_has_its_own_place() {
        for (index, priority) in Priority::ALL.into_iter().enumerate() {
            assert_eq!(priority as usize, index);
        }
    }
}
