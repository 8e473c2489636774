//! Colours and width of the output.

use std::env;
use std::io::{self, IsTerminal};

use logstream_testing::coder::Level;
use terminal_size::{Width, terminal_size};

/// Width without a terminal, and maximum width on one.
const WIDTH: usize = 120;

/// Minimum width: narrower wrapping does not make text easier to read.
const NARROWEST: usize = 60;

/// Properties of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    terminal: bool,
    colours: bool,
    width: usize,
}

impl Style {
    /// No colours, no terminal.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { terminal: false, colours: false, width: WIDTH };

    /// The style for stdout; without colours if `NO_COLOR` is set.
    #[allow(clippy::disallowed_methods, reason = "the demo's own variable, not the product's configuration")]
    pub(crate) fn of_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let colours = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let width = terminal_size().filter(|_| terminal).map_or(WIDTH, |(Width(width), _)| usize::from(width));
        Self { terminal, colours, width: width.clamp(NARROWEST, WIDTH) }
    }

    /// The same style, treated as not a terminal.
    pub(crate) const fn without_terminal(self) -> Self {
        Self { terminal: false, ..self }
    }

    pub(crate) const fn terminal(self) -> bool {
        self.terminal
    }

    pub(crate) const fn colours(self) -> bool {
        self.colours
    }

    pub(crate) const fn width(self) -> usize {
        self.width
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.in_colour("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.in_colour("2", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.in_colour("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.in_colour("31", text)
    }

    /// The mark of a line's level.
    pub(crate) fn mark(self, level: Level) -> String {
        match level {
            Level::Trace | Level::Debug => " ".to_owned(),
            Level::Info => self.in_colour("32", "+"),
            Level::Warn => self.in_colour("33", "!"),
            Level::Error => self.in_colour("31", "✗"),
        }
    }

    fn in_colour(self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
