//! Output of the commands for operators.

use std::io::IsTerminal;

use clap::ValueEnum;

use crate::config::Environment;

/// Form of a command's output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Use of colours.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Also when piped.
    Always,
    /// Not at all.
    Never,
}

impl Colour {
    /// The style of standard output.
    pub fn style(self, environment: &Environment) -> Style {
        let is_dumb = environment.get("TERM").is_some_and(|term| term == "dumb");
        let coloured = match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => std::io::stdout().is_terminal() && environment.filled("NO_COLOR").is_none() && !is_dumb,
        };
        if coloured { Style::Coloured } else { Style::Plain }
    }
}

/// Plain or coloured text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// Without escape sequences.
    Plain,
    /// With ANSI escape sequences.
    Coloured,
}

impl Style {
    /// A text in red.
    pub fn red(self, text: &str) -> String {
        self.sgr("31", text)
    }

    /// A text in yellow.
    pub fn yellow(self, text: &str) -> String {
        self.sgr("33", text)
    }

    /// A text in green.
    pub fn green(self, text: &str) -> String {
        self.sgr("32", text)
    }

    /// A text in bold.
    pub fn bold(self, text: &str) -> String {
        self.sgr("1", text)
    }

    /// A text in a fainter style.
    pub fn dim(self, text: &str) -> String {
        self.sgr("2", text)
    }

    fn sgr(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}
