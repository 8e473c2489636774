//! A line of a workspace's startup log, ready to be delivered.

use jiff::Timestamp;

use crate::fact_id::FactId;

/// The levels of a log line that this program uses, the least first. Coder has `trace` and `info` too; its page shows
/// `info` as a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Normal things.
    Debug,
    /// What may delay or end a start.
    Warn,
    /// What ends a start.
    Error,
}

impl Level {
    /// The level's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// The longest line this program sends, in characters. Coder cuts a line at 1,024 without a word.
pub const MAX_CHARS: usize = 1_000;

/// A line for one agent's startup log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it happened.
    pub at: Timestamp,
    /// How bad it is.
    pub level: Level,
    /// At most [`MAX_CHARS`] characters, no NUL, no secrets; may hold ANSI colours.
    pub text: String,
    /// Whether the reader was told of this before: such a line may wait for first ones.
    pub repeat: bool,
    /// The fact it tells, to be settled when the line was delivered or given up.
    pub fact_id: Option<FactId>,
}
