//! An agent's budget: how much of its log's one mebibyte this program takes.
//!
//! The log is shared with the agent's own startup script, and whoever crosses its limit closes it for both. So we stay
//! far below, keep the last part for warnings and errors, and count what may have been stored twice.

use logstream_core::line::Level;

/// A quarter of Coder's 1 MiB, in bytes of output.
const TOTAL: usize = 256 * 1024;
/// The part kept for what matters most: room for over thirty messages of full length.
const RESERVE: usize = 32 * 1024;
/// The part kept for our own words on lines that are missing: they are short, and few.
const NOTES: usize = 2 * 1024;
/// Output that may have been stored although its request failed, and was sent again. As much again as the budget: with
/// it we still take at most half of the log. What is beyond this counts as used.
const DOUBT: usize = 256 * 1024;

/// What an agent has used.
#[derive(Debug, Default)]
pub(super) struct Budget {
    used: usize,
    doubted: usize,
    /// Only warnings and errors may go. Stays so, even after a refund: the reader was told.
    only_severe: bool,
    /// Nothing may go any more.
    closed: bool,
}

/// Whether a line may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// It may, and was charged.
    Granted,
    /// It may not; with what the reader has to be told, the first time.
    Refused(Option<&'static str>),
}

const NO_MORE_ROUTINE: &str = "Kubernetes has said so much about this start that from here on only its warnings and \
                               errors are shown, so that the log has room for the workspace itself";
const NO_MORE: &str = "Kubernetes has said so much about this start that no more of it is shown, so that the log has \
                       room for the workspace itself";

impl Budget {
    /// Charges a line of this many bytes of output, if there is room for it.
    pub(super) fn charge(&mut self, level: Level, bytes: usize) -> Grant {
        let used = self.used + bytes + NOTES;
        if self.closed || used > TOTAL {
            let first = !std::mem::replace(&mut self.closed, true);
            return Grant::Refused(first.then_some(NO_MORE));
        }
        if level < Level::Warn && (self.only_severe || used + RESERVE > TOTAL) {
            let first = !std::mem::replace(&mut self.only_severe, true);
            return Grant::Refused(first.then_some(NO_MORE_ROUTINE));
        }
        self.used += bytes;
        Grant::Granted
    }

    /// Charges our own words, which may take the last part too. Says whether there was room.
    pub(super) fn charge_note(&mut self, bytes: usize) -> bool {
        let room = self.used + bytes <= TOTAL;
        if room {
            self.used += bytes;
        }
        room
    }

    /// Takes back the charge for what was not stored.
    pub(super) fn refund(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// Takes back the charge for what may have been stored, and will be sent again.
    pub(super) fn refund_in_doubt(&mut self, bytes: usize) {
        self.doubted += bytes;
        let beyond = self.doubted.saturating_sub(DOUBT);
        self.doubted -= beyond;
        self.refund(bytes.saturating_sub(beyond));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_part_is_kept_for_warnings_and_each_end_is_said_once() {
        let mut budget = Budget::default();
        let fill = |budget: &mut Budget, level| {
            let mut taken = 0;
            loop {
                match budget.charge(level, 100) {
                    Grant::Granted => taken += 100,
                    Grant::Refused(words) => return (taken, words),
                }
            }
        };
        let (routine, words) = fill(&mut budget, Level::Debug);
        assert!(routine > 200_000 && words == Some(NO_MORE_ROUTINE), "{routine}");
        assert_eq!(budget.charge(Level::Info, 100), Grant::Refused(None));
        let (warnings, words) = fill(&mut budget, Level::Warn);
        assert!((30_000..=RESERVE + 200).contains(&warnings) && words == Some(NO_MORE), "{warnings}");
        assert_eq!(budget.charge(Level::Error, 100), Grant::Refused(None));
    }

    #[test]
    fn an_endless_doubt_uses_up_the_budget() {
        let mut budget = Budget::default();
        let mut tries = 0;
        while budget.charge(Level::Debug, 1_000) == Grant::Granted {
            budget.refund_in_doubt(1_000);
            tries += 1;
            assert!(tries < 1_000);
        }
        assert!(tries * 1_000 <= TOTAL + DOUBT);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn no_sequence_takes_more_than_half_of_the_log(
            steps in prop::collection::vec((0_usize..3, 1_usize..4_096, any::<bool>()), 0..2_000)
        ) {
            let mut budget = Budget::default();
            let mut stored = 0;
            for (fate, bytes, severe) in steps {
                let level = if severe { Level::Error } else { Level::Debug };
                match budget.charge(level, bytes) {
                    Grant::Granted => match fate {
                        0 => budget.refund(bytes),
                        1 => {
                            budget.refund_in_doubt(bytes);
                            stored += bytes;
                        }
                        _ => stored += bytes,
                    },
                    Grant::Refused(Some(words)) => {
                        if budget.charge_note(words.len()) {
                            stored += words.len();
                        }
                    }
                    Grant::Refused(None) => {}
                }
            }
            prop_assert!(stored <= 512 * 1024, "{stored}");
        }
    }
}
