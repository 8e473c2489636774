//! Who goes next: lanes of agents that could be served, the most urgent lane first, in the order of arrival within.

use std::collections::BTreeMap;

use logstream_core::token::AgentToken;

/// The endpoints that delivery uses. Coder limits each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    LogSource,
    Logs,
}

/// What an agent waits for, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Its first line, with the source registered.
    FirstLines,
    /// Its source, so that its first line can go.
    Register,
    /// More lines.
    FurtherLines,
    /// Its source, after a failure.
    RetryRegister,
    /// Lines, after a failure.
    RetryLines,
    /// To be valid at all.
    Probe,
    /// To say again what its reader knows.
    Repeats,
    /// Nothing yet: a claim's source is registered ahead.
    Prepare,
}

impl Lane {
    pub(super) const ALL: [Self; 8] = [
        Self::FirstLines,
        Self::Register,
        Self::FurtherLines,
        Self::RetryRegister,
        Self::RetryLines,
        Self::Probe,
        Self::Repeats,
        Self::Prepare,
    ];

    pub(super) fn endpoint(self) -> Endpoint {
        match self {
            Self::Register | Self::RetryRegister | Self::Probe | Self::Prepare => Endpoint::LogSource,
            Self::FirstLines | Self::FurtherLines | Self::RetryLines | Self::Repeats => Endpoint::Logs,
        }
    }

    /// The part of all requests under way that this lane may hold, as a divisor. An agent whose requests hang until
    /// they time out must not take the room of those whose requests do not.
    pub(super) fn divisor(self) -> usize {
        match self {
            Self::FirstLines | Self::Register | Self::FurtherLines | Self::Repeats => 1,
            Self::RetryRegister | Self::RetryLines | Self::Probe => 4,
            Self::Prepare => 16,
        }
    }
}

/// A place in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) lane: Lane,
    number: i64,
}

/// All lanes. An agent has one seat at most, so their size is bounded by the number of agents.
#[derive(Debug)]
pub(super) struct Lanes {
    seats: [BTreeMap<i64, AgentToken>; Lane::ALL.len()],
    next: i64,
    first: i64,
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self { seats: Default::default(), next: 0, first: -1 }
    }

    /// The last seat of a lane.
    pub(super) fn join(&mut self, lane: Lane, agent: AgentToken) -> Seat {
        let number = self.next;
        self.next += 1;
        self.seats[lane as usize].insert(number, agent);
        Seat { lane, number }
    }

    /// The first seat of a lane, for one whose turn was taken back.
    pub(super) fn rejoin(&mut self, lane: Lane, agent: AgentToken) -> Seat {
        let number = self.first;
        self.first -= 1;
        self.seats[lane as usize].insert(number, agent);
        Seat { lane, number }
    }

    pub(super) fn leave(&mut self, seat: Seat) {
        self.seats[seat.lane as usize].remove(&seat.number);
    }

    pub(super) fn pop(&mut self, lane: Lane) -> Option<AgentToken> {
        self.seats[lane as usize].pop_first().map(|(_, agent)| agent)
    }

    pub(super) fn is_empty(&self, lane: Lane) -> bool {
        self.seats[lane as usize].is_empty()
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
        let mut lanes = Lanes::new();
        lanes.join(Lane::Probe, agent(1));
        let seat = lanes.join(Lane::Probe, agent(2));
        lanes.join(Lane::Probe, agent(3));
        lanes.leave(seat);
        assert_eq!(lanes.pop(Lane::Probe), Some(agent(1)));
        lanes.rejoin(Lane::Probe, agent(1));
        assert_eq!(lanes.pop(Lane::Probe), Some(agent(1)));
        assert_eq!(lanes.pop(Lane::Probe), Some(agent(3)));
        assert_eq!(lanes.pop(Lane::Probe), None);
        assert!(lanes.is_empty(Lane::Probe));
    }

    #[test]
    fn every_lane_has_its_own_place() {
        for (index, lane) in Lane::ALL.into_iter().enumerate() {
            assert_eq!(lane as usize, index);
        }
    }
}
