//! Availability of Coder as seen by requests, to log its changes once.

use logstream_core::token::AgentToken;

use crate::coder::Failure;

/// Consecutive failures, over all agents, before a Coder that has answered counts as unavailable. A restart of one of
/// several Coder replicas cuts a few requests.
const FAILURES: u32 = 3;

/// Availability of Coder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// No answer yet.
    Unknown,
    /// The last answers were Coder's.
    Up {
        /// Consecutive failures.
        failures: u32,
        /// The agent whose lines were refused last among these. Its next refusal proves nothing more: its own text
        /// may be the cause.
        refused: Option<AgentToken>,
    },
    /// Unavailable, and logged as such.
    Down,
}

/// A change to be logged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Lost,
    Back,
}

impl Availability {
    /// Handles the result of a request. `lines_of` is the agent, if the request carried lines.
    pub(crate) fn observe(&mut self, failure: Option<&Failure>, lines_of: Option<AgentToken>) -> Option<Change> {
        let refused = lines_of.filter(|_| failure.is_some_and(Failure::is_refusal));
        if let (Self::Up { refused: before, .. }, Some(agent)) = (&mut *self, refused)
            && before.replace(agent) == Some(agent)
        {
            return None;
        }
        let away = matches!(
            failure,
            Some(
                Failure::Server { .. }
                    | Failure::Timeout
                    | Failure::Network { .. }
                    | Failure::NotCoder { .. }
                    | Failure::BodyTooLarge
            )
        );
        match (&mut *self, away) {
            (Self::Down, true) => None,
            (Self::Down, false) => {
                *self = Self::Up { failures: 0, refused: None };
                Some(Change::Back)
            }
            (_, false) => {
                *self = Self::Up { failures: 0, refused: None };
                None
            }
            (Self::Up { failures, .. }, true) if *failures + 1 < FAILURES => {
                *failures += 1;
                None
            }
            // The very first failure points to a wrong URL or certificate: log it at once.
            (Self::Unknown | Self::Up { .. }, true) => {
                *self = Self::Down;
                Some(Change::Lost)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWAY: Option<&Failure> = Some(&Failure::Timeout);

    #[test]
    fn a_coder_that_never_answered_is_reported_at_once() {
        let mut availability = Availability::Unknown;
        assert_eq!(availability.observe(AWAY, None), Some(Change::Lost));
        assert_eq!(availability.observe(AWAY, None), None);
        assert_eq!(availability.observe(None, None), Some(Change::Back));
        assert_eq!(availability.observe(None, None), None);
    }

    #[test]
    fn a_coder_that_worked_is_away_after_three_failures_in_a_row() {
        let mut availability = Availability::Unknown;
        availability.observe(Some(&Failure::Unauthorized), None);
        assert_eq!(
            [availability.observe(AWAY, None), availability.observe(AWAY, None), availability.observe(None, None)],
            [None, None, None]
        );
        assert_eq!(
            [availability.observe(AWAY, None), availability.observe(AWAY, None), availability.observe(AWAY, None)],
            [None, None, Some(Change::Lost)]
        );
        assert_eq!(availability.observe(Some(&Failure::Unauthorized), None), Some(Change::Back));
    }

    #[test]
    fn refusals_of_one_agents_lines_do_not_mean_that_coder_is_away() {
        let agent = |number| AgentToken::parse(&format!("00000000-0000-4000-8000-00000000000{number}")).unwrap();
        let refusal = Failure::NotCoder { reason: "it answers 403".into() };
        let mut availability = Availability::Unknown;
        availability.observe(None, None);
        for _ in 0..10 {
            assert_eq!(availability.observe(Some(&refusal), Some(agent(1))), None);
        }
        assert_eq!(availability.observe(Some(&refusal), Some(agent(2))), None);
        assert_eq!(availability.observe(Some(&refusal), Some(agent(3))), Some(Change::Lost));
    }
}
