//! Who goes next: lanes of agents that could be served, the most urgent lane first, in the order of arrival within.

use std::collections::BTreeMap;

use logstream_core::token::AgentToken;

/// The endpoints that delivery uses. Coder limits each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    LogSource,
    Logs,
}

/// What an agent waits for. A repetition after a failure has the same urgency, and a lane of its own that may hold
/// less of the requests under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Its first line, with the source registered.
    FirstLines,
    RetryFirstLines,
    /// Its source, so that its first line can go.
    Register,
    RetryRegister,
    /// More lines.
    FurtherLines,
    RetryFurtherLines,
    /// To be valid at all.
    Probe,
    /// To say again what its reader knows.
    Repeats,
    RetryRepeats,
    /// Nothing yet: a claim's source is registered ahead.
    Prepare,
}

impl Lane {
    pub(super) const ALL: [Self; 10] = [
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

    /// The lanes of each urgency, the most urgent first. Within one the order of arrival counts.
    pub(super) const BY_URGENCY: [&[Self]; 6] = [
        &[Self::FirstLines, Self::RetryFirstLines],
        &[Self::Register, Self::RetryRegister],
        &[Self::FurtherLines, Self::RetryFurtherLines],
        &[Self::Probe],
        &[Self::Repeats, Self::RetryRepeats],
        &[Self::Prepare],
    ];

    /// The lane of the same urgency for a repetition after a failure.
    pub(super) fn retry(self) -> Self {
        match self {
            Self::FirstLines => Self::RetryFirstLines,
            Self::Register => Self::RetryRegister,
            Self::FurtherLines => Self::RetryFurtherLines,
            Self::Repeats => Self::RetryRepeats,
            other => other,
        }
    }

    pub(super) fn endpoint(self) -> Endpoint {
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

    /// The part of all requests under way that this lane may hold, as a divisor. An agent whose requests hang until
    /// they time out must not take the room of those whose requests do not.
    pub(super) fn divisor(self) -> usize {
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

/// A place in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) lane: Lane,
    /// Its place in the order of arrival over all lanes.
    pub(super) number: i64,
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

    /// The seat of this number, which must be free: for one that has had it before.
    pub(super) fn rejoin_at(&mut self, lane: Lane, number: i64, agent: AgentToken) -> Seat {
        self.seats[lane as usize].insert(number, agent);
        Seat { lane, number }
    }

    pub(super) fn leave(&mut self, seat: Seat) {
        self.seats[seat.lane as usize].remove(&seat.number);
    }

    /// Takes the first agent of a lane, and the number of its seat.
    pub(super) fn pop(&mut self, lane: Lane) -> Option<(i64, AgentToken)> {
        self.seats[lane as usize].pop_first()
    }

    /// The number of the first seat of a lane.
    pub(super) fn first(&self, lane: Lane) -> Option<i64> {
        self.seats[lane as usize].first_key_value().map(|(number, _)| *number)
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
        let pop = |lanes: &mut Lanes| lanes.pop(Lane::Probe).map(|(_, agent)| agent);
        assert_eq!(pop(&mut lanes), Some(agent(1)));
        lanes.rejoin(Lane::Probe, agent(1));
        assert_eq!(pop(&mut lanes), Some(agent(1)));
        assert_eq!(pop(&mut lanes), Some(agent(3)));
        assert_eq!(pop(&mut lanes), None);
        assert_eq!(lanes.first(Lane::Probe), None);
    }

    #[test]
    fn each_lane_has_one_urgency_and_one_endpoint() {
        let by_urgency: Vec<_> = Lane::BY_URGENCY.into_iter().flatten().copied().collect();
        assert_eq!(by_urgency, Lane::ALL);
        for lanes in Lane::BY_URGENCY {
            assert!(lanes.iter().all(|lane| lane.endpoint() == lanes[0].endpoint()));
            assert!(lanes.iter().all(|lane| lanes.contains(&lane.retry())));
        }
    }

    #[test]
    fn every_lane_has_its_own_place() {
        for (index, lane) in Lane::ALL.into_iter().enumerate() {
            assert_eq!(lane as usize, index);
        }
    }
}
