//! Whether Coder can be reached, as far as requests have shown: so that the log says it once.

use logstream_core::token::AgentToken;

use crate::coder::Failure;

/// Failures in a row, over all agents, before a Coder that has worked counts as away: a restart of one of several
/// Coder replicas cuts a few requests and is no news.
const FAILURES: u32 = 3;

/// The state of the way to Coder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing was answered yet.
    Unknown,
    /// The last answers were Coder's.
    Up {
        /// Failures in a row.
        failures: u32,
        /// The agent whose lines were refused last among these. Its next refusal proves nothing more: its own text
        /// may be the cause.
        refused: Option<AgentToken>,
    },
    /// It is away, and the log has said so.
    Down,
}

/// A change that people should know of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Lost,
    Back,
}

impl Link {
    /// Takes in what became of a request; `lines_of` is the agent, if it carried lines.
    pub(super) fn observe(&mut self, failure: Option<&Failure>, lines_of: Option<AgentToken>) -> Option<Change> {
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
            // The first answer ever tells of a wrong URL or certificate: say it at once.
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
    fn a_coder_that_never_answered_is_told_at_once() {
        let mut link = Link::Unknown;
        assert_eq!(link.observe(AWAY, None), Some(Change::Lost));
        assert_eq!(link.observe(AWAY, None), None);
        assert_eq!(link.observe(None, None), Some(Change::Back));
        assert_eq!(link.observe(None, None), None);
    }

    #[test]
    fn a_coder_that_worked_is_away_after_three_failures_in_a_row() {
        let mut link = Link::Unknown;
        link.observe(Some(&Failure::Unauthorized), None);
        assert_eq!([link.observe(AWAY, None), link.observe(AWAY, None), link.observe(None, None)], [None, None, None]);
        assert_eq!(
            [link.observe(AWAY, None), link.observe(AWAY, None), link.observe(AWAY, None)],
            [None, None, Some(Change::Lost)]
        );
        assert_eq!(link.observe(Some(&Failure::Unauthorized), None), Some(Change::Back));
    }

    #[test]
    fn refusals_of_one_agents_lines_do_not_mean_that_coder_is_away() {
        let agent = |number| AgentToken::parse(&format!("00000000-0000-4000-8000-00000000000{number}")).unwrap();
        let refusal = Failure::NotCoder { reason: "it answers 403".into() };
        let mut link = Link::Unknown;
        link.observe(None, None);
        for _ in 0..10 {
            assert_eq!(link.observe(Some(&refusal), Some(agent(1))), None);
        }
        assert_eq!(link.observe(Some(&refusal), Some(agent(2))), None);
        assert_eq!(link.observe(Some(&refusal), Some(agent(3))), Some(Change::Lost));
    }
}
