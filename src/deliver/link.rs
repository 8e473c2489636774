//! Whether Coder can be reached, as far as requests have shown: so that the log says it once.

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
    Up { failures: u32 },
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
    /// Takes in what became of a request.
    pub(super) fn observe(&mut self, failure: Option<&Failure>) -> Option<Change> {
        let away = matches!(
            failure,
            Some(Failure::Server { .. } | Failure::Timeout | Failure::Network { .. } | Failure::NotCoder { .. })
        );
        match (&mut *self, away) {
            (Self::Down, true) => None,
            (Self::Down, false) => {
                *self = Self::Up { failures: 0 };
                Some(Change::Back)
            }
            (_, false) => {
                *self = Self::Up { failures: 0 };
                None
            }
            (Self::Up { failures }, true) if *failures + 1 < FAILURES => {
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
        assert_eq!(link.observe(AWAY), Some(Change::Lost));
        assert_eq!(link.observe(AWAY), None);
        assert_eq!(link.observe(None), Some(Change::Back));
        assert_eq!(link.observe(None), None);
    }

    #[test]
    fn a_coder_that_worked_is_away_after_three_failures_in_a_row() {
        let mut link = Link::Unknown;
        link.observe(Some(&Failure::Unauthorized));
        assert_eq!([link.observe(AWAY), link.observe(AWAY), link.observe(None)], [None, None, None]);
        assert_eq!([link.observe(AWAY), link.observe(AWAY), link.observe(AWAY)], [None, None, Some(Change::Lost)]);
        assert_eq!(link.observe(Some(&Failure::Unauthorized)), Some(Change::Back));
    }
}
