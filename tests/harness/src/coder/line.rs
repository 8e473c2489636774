//! Lines of a startup log.

use std::fmt;
use std::time::{Instant, SystemTime};

use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

/// Log level, by Coder's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// `trace`
    Trace,
    /// `debug`
    Debug,
    /// `info`
    Info,
    /// `warn`
    Warn,
    /// `error`
    Error,
}

impl Level {
    /// The mark of a level. Coder's page shows info like success.
    const fn mark(self) -> &'static str {
        match self {
            Self::Trace | Self::Debug => " ",
            Self::Info => "+",
            Self::Warn => "!",
            Self::Error => "X",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

/// A received line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Arrival time, by the wall clock.
    pub at: SystemTime,
    /// Arrival time, by the monotonic clock.
    pub arrived: Instant,
    /// The sender's time. Coder stores its own time instead.
    pub created_at: Timestamp,
    /// The level.
    pub level: Level,
    /// The text, cut at Coder's 1,024 characters.
    pub output: String,
    /// The log source named with it.
    pub source: Uuid,
    /// True if the agent had that source; otherwise Coder's page shows the line under no source.
    pub source_known: bool,
    /// Number of its request. Numbers increase over all agents.
    pub batch: u64,
    /// Generation of the token's agent: 0, incremented by each claim.
    pub generation: u32,
}

impl Line {
    /// The text without colours.
    pub fn plain(&self) -> String {
        stripped(&self.output)
    }
}

/// Handling of colour escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ansi {
    /// Keep them, for a terminal.
    Keep,
    /// Remove them.
    Strip,
}

/// Formats a line: time (UTC), a mark for its level, text.
pub(super) fn shown(line: &Line, ansi: Ansi) -> String {
    let time = Timestamp::try_from(line.at).unwrap_or_default().strftime("%H:%M:%S%.3f");
    let text = match ansi {
        Ansi::Keep => line.output.clone(),
        Ansi::Strip => line.plain(),
    };
    format!("{time} {} {text}\n", line.level.mark())
}

/// Removes escape sequences of the form ESC [ … letter.
fn stripped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = after.find(|character: char| character.is_ascii_alphabetic()).map_or(after.len(), |end| end + 1);
        rest = &after[end..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::stripped;

    #[test]
    fn colour_escapes_are_removed() {
        assert_eq!(stripped("\u{1b}[32ma\u{1b}[0m b\u{1b}[1;31mc"), "a bc");
        assert_eq!(stripped("plain"), "plain");
    }
}
