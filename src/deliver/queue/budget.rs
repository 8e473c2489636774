//! An agent's budget: this program's share of its log.
//!
//! Coder limits the log to 1 MiB, which the agent's own startup script shares. Exceeding the limit closes the log for
//! both, so this program stays far below, and counts output that may have been stored twice or by earlier processes.
//!
//! Frequent lines must not displace rare ones: one part is reserved for errors, another for warnings and errors, and
//! repeats are thinned out the more of them were sent.

use logstream_core::line::Level;

/// A quarter of Coder's 1 MiB, in bytes of output.
const TOTAL: usize = 256 * 1024;
/// Bytes reserved for errors: room for over fifteen messages of full length.
const ERRORS: usize = 16 * 1024;
/// Further bytes reserved for warnings and errors that are not repeats.
const WARNINGS: usize = 16 * 1024;
/// Bytes reserved for notes about missing lines, which are short and few.
const NOTES: usize = 2 * 1024;
/// Each time this many bytes of repeats were sent, the share of repeats that are sent is halved.
const REPEATS: usize = 8 * 1024;
/// Maximum output that may have been stored although its request failed, and was sent again. With it this program uses
/// at most half of the log. More than this counts as used.
const DOUBT: usize = 256 * 1024;

/// Output of one agent so far.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    used: usize,
    doubted: usize,
    /// Bytes of repeats sent.
    repeats: usize,
    /// Number of repeats since the last one sent.
    skipped: u32,
    /// The lines that are still accepted. A refund does not change it, because the log already says so.
    limit: Limit,
    /// True if the log says that repeats are thinned out.
    thinned: bool,
}

/// The lines that are still accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Limit {
    #[default]
    None,
    Warnings,
    Errors,
    Nothing,
}

/// Decision about one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Accepted and charged.
    Granted,
    /// Refused; the first time with a note for the log.
    Refused(Option<&'static str>),
}

/// Amount charged for a request, to be refunded if it was not stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Charge {
    /// Bytes of output.
    pub(crate) bytes: usize,
    /// Of these, bytes of repeats.
    pub(crate) repeats: usize,
}

const FEWER_REPEATS: &str = "Kubernetes has repeated itself so often that from here on its repetitions are shown less \
                             and less often";
const NO_MORE_ROUTINE: &str = "Kubernetes has said so much about this start that from here on only its warnings and \
                               errors are shown, so that the log has room for the workspace itself";
const NO_MORE_WARNINGS: &str = "Kubernetes has said so much about this start that no more of it is shown except errors, \
                                so that the log has room for the workspace itself";
const NO_MORE: &str = "Kubernetes has said so much about this start that from here on not even its errors are shown, \
                       so that the log has room for the workspace itself";

impl Budget {
    /// The budget of an agent that got this many bytes from earlier processes.
    pub(crate) fn resumed(spent: u64) -> Self {
        Self { used: usize::try_from(spent).unwrap_or(usize::MAX).min(2 * TOTAL + DOUBT), ..Self::default() }
    }

    /// Upper bound of the output in the agent's log, in bytes, including what may have been stored twice.
    pub(crate) fn spent(&self) -> u64 {
        u64::try_from(self.used + self.doubted).unwrap_or(u64::MAX)
    }

    /// Charges a line of this many bytes if there is room. A repeat cannot use the reserved parts.
    pub(crate) fn charge(&mut self, level: Level, repeat: bool, bytes: usize) -> Grant {
        let (kept, limit, words) = match level {
            _ if repeat || level < Level::Warn => (ERRORS + WARNINGS, Limit::Warnings, NO_MORE_ROUTINE),
            Level::Warn => (ERRORS, Limit::Errors, NO_MORE_WARNINGS),
            _ => (0, Limit::Nothing, NO_MORE),
        };
        if self.limit >= limit || self.used + bytes + NOTES + kept > TOTAL {
            let first = self.limit < limit;
            self.limit = self.limit.max(limit);
            return Grant::Refused(first.then_some(words));
        }
        if repeat {
            if self.is_thinned_out() {
                self.skipped = self.skipped.saturating_add(1);
                let first = !std::mem::replace(&mut self.thinned, true);
                return Grant::Refused(first.then_some(FEWER_REPEATS));
            }
            self.skipped = 0;
            self.repeats += bytes;
        }
        self.used += bytes;
        Grant::Granted
    }

    /// True if the next repeat is dropped: after the n-th part, one of 2^n repeats is sent.
    fn is_thinned_out(&self) -> bool {
        let halvings = u32::try_from(self.repeats / REPEATS).unwrap_or(u32::MAX);
        self.skipped < 1_u32.checked_shl(halvings).map_or(u32::MAX, |one_in| one_in - 1)
    }

    /// Charges a note, which may use the last reserved part. Returns true if there was room.
    pub(crate) fn charge_note(&mut self, bytes: usize) -> bool {
        let room = self.used + bytes <= TOTAL;
        if room {
            self.used += bytes;
        }
        room
    }

    /// Refunds output that was not stored.
    pub(crate) fn refund(&mut self, charge: Charge) {
        self.used = self.used.saturating_sub(charge.bytes);
        self.repeats = self.repeats.saturating_sub(charge.repeats);
    }

    /// Refunds output that may have been stored and will be sent again.
    pub(crate) fn refund_in_doubt(&mut self, charge: Charge) {
        self.doubted += charge.bytes;
        let beyond = self.doubted.saturating_sub(DOUBT);
        self.doubted -= beyond;
        self.refund(Charge { bytes: charge.bytes.saturating_sub(beyond), repeats: charge.repeats });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sends lines until one is refused. Returns the bytes sent and the note for the log.
    fn fill(budget: &mut Budget, level: Level) -> (usize, Option<&'static str>) {
        let mut taken = 0;
        loop {
            match budget.charge(level, false, 100) {
                Grant::Granted => taken += 100,
                Grant::Refused(words) => return (taken, words),
            }
        }
    }

    #[test]
    fn parts_are_kept_for_warnings_and_errors_and_each_end_noted_once() {
        let mut budget = Budget::default();
        let (routine, words) = fill(&mut budget, Level::Debug);
        assert!(routine > 200_000 && words == Some(NO_MORE_ROUTINE), "{routine}");
        assert_eq!(budget.charge(Level::Debug, false, 100), Grant::Refused(None));
        let (warnings, words) = fill(&mut budget, Level::Warn);
        assert!((15_000..=WARNINGS + 200).contains(&warnings) && words == Some(NO_MORE_WARNINGS), "{warnings}");
        let (errors, words) = fill(&mut budget, Level::Error);
        assert!((15_000..=ERRORS + 200).contains(&errors) && words == Some(NO_MORE), "{errors}");
        for level in [Level::Debug, Level::Warn, Level::Error] {
            assert_eq!(budget.charge(level, false, 100), Grant::Refused(None));
        }
    }

    #[test]
    fn a_chronic_warning_leaves_room_for_everything_else() {
        let mut budget = Budget::default();
        let mut granted = 0;
        for _ in 0..25_710 {
            granted += usize::from(budget.charge(Level::Warn, true, 150) == Grant::Granted);
        }
        assert!((300..=500).contains(&granted), "{granted}");
        assert!(budget.used < 80 * 1024, "{}", budget.used);
        let (routine, _) = fill(&mut budget, Level::Debug);
        assert!(routine > 128 * 1024, "{routine}");
        assert_eq!(budget.charge(Level::Warn, true, 150), Grant::Refused(None));
        assert_eq!(budget.charge(Level::Warn, false, 150), Grant::Granted);
    }

    #[test]
    fn a_chronic_warning_with_new_words_each_time_leaves_room_for_errors() {
        let mut budget = Budget::default();
        fill(&mut budget, Level::Warn);
        assert_eq!(budget.charge(Level::Error, false, 1_024), Grant::Granted);
    }

    #[test]
    fn bytes_of_earlier_processes_count() {
        let mut spent = 0;
        for _ in 0..6 {
            let mut budget = Budget::resumed(spent);
            fill(&mut budget, Level::Debug);
            spent = budget.spent();
        }
        assert!(spent <= 256 * 1024, "{spent}");
        let mut budget = Budget::resumed(u64::MAX);
        assert!(matches!(budget.charge(Level::Error, false, 1), Grant::Refused(_)) && !budget.charge_note(1));
    }

    #[test]
    fn an_endless_doubt_uses_up_the_budget() {
        let mut budget = Budget::default();
        let mut tries = 0;
        while budget.charge(Level::Debug, false, 1_000) == Grant::Granted {
            budget.refund_in_doubt(Charge { bytes: 1_000, repeats: 0 });
            tries += 1;
            assert!(tries < 1_000);
        }
        assert!(tries * 1_000 <= TOTAL + DOUBT);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn no_sequence_takes_more_than_half_of_the_log(
            steps in prop::collection::vec((0_usize..3, 1_usize..4_096, any::<bool>(), any::<bool>()), 0..2_000)
        ) {
            let mut budget = Budget::default();
            let mut stored = 0;
            for (fate, bytes, severe, repeat) in steps {
                let level = if severe { Level::Error } else { Level::Debug };
                let charge = Charge { bytes, repeats: if repeat { bytes } else { 0 } };
                match budget.charge(level, repeat, bytes) {
                    Grant::Granted => match fate {
                        0 => budget.refund(charge),
                        1 => {
                            budget.refund_in_doubt(charge);
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
            prop_assert!(budget.spent() >= stored as u64, "{stored}");
            prop_assert!(stored <= 512 * 1024, "{stored}");
        }
    }
}
