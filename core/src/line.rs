//! Lines of startup logs.

use jiff::Timestamp;

use crate::fact_id::FactId;

/// Level of a log line, from the least to the most severe. Coder also has `trace` and `info`, which this program does
/// not use; Coder's page shows `info` as a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Progress.
    Debug,
    /// May delay or end a start.
    Warn,
    /// Ends a start.
    Error,
}

impl Level {
    /// Returns the level's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Maximum length of a line, in characters. Coder cuts a line at 1,024 without notice.
pub const MAX_CHARS: usize = 1_000;

/// A line for one agent's startup log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Time of the fact.
    pub at: Timestamp,
    /// Severity.
    pub level: Level,
    /// Text of at most [`MAX_CHARS`] characters, without NUL and secrets; may contain ANSI colours.
    pub text: String,
    /// True if the same was reported before. Such a line has a lower priority.
    pub repeat: bool,
    /// The fact to acknowledge once the line was delivered or dropped.
    pub fact_id: Option<FactId>,
}
