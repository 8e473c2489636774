//! Lines of a startup log.

use std::fmt;
use std::time::{Instant, SystemTime};

use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

/// How bad a line is, by Coder's names.
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
    /// How Coder's page sets it off: info there looks like success.
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

/// A line as it arrived.
#[derive(Debug, Clone)]
pub struct Line {
    /// When it arrived, on the clock.
    pub at: SystemTime,
    /// When it arrived, for measuring.
    pub arrived: Instant,
    /// What its sender said about when it happened. Coder keeps its own time instead.
    pub created_at: Timestamp,
    /// How bad it is.
    pub level: Level,
    /// The text, cut at Coder's 1,024 characters.
    pub output: String,
    /// The log source named with it.
    pub source: Uuid,
    /// Whether its agent had that source; otherwise the page shows it under none.
    pub source_known: bool,
    /// The request it came with: lines of one number came together. Numbers grow over all agents.
    pub batch: u64,
    /// Which agent of the token it was for: 0, and one more after each claim.
    pub generation: u32,
}

impl Line {
    /// The text without colours.
    pub fn plain(&self) -> String {
        stripped(&self.output)
    }
}

/// What becomes of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ansi {
    /// As sent, for a terminal.
    Keep,
    /// Taken out.
    Strip,
}

/// A line as a log shows it: time (UTC), a mark for its level, text.
pub(super) fn shown(line: &Line, ansi: Ansi) -> String {
    let time = Timestamp::try_from(line.at).unwrap_or_default().strftime("%H:%M:%S%.3f");
    let text = match ansi {
        Ansi::Keep => line.output.clone(),
        Ansi::Strip => line.plain(),
    };
    format!("{time} {} {text}\n", line.level.mark())
}

/// Without escape sequences of the form ESC [ … letter.
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
    fn colours_are_taken_out() {
        assert_eq!(stripped("\u{1b}[32ma\u{1b}[0m b\u{1b}[1;31mc"), "a bc");
        assert_eq!(stripped("plain"), "plain");
    }
}
