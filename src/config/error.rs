//! Errors of the configuration.

use std::fmt;
use std::io::{self, Write};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::setting::Setting;

/// There is no configuration to run: a setting is invalid, or help or the version was requested.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConfigError {
    /// `--help` or `--version`: the text to show on standard output. The exit code is 0.
    Asked(String),
    /// A setting is invalid: a message for standard error. The exit code is 2.
    Wrong(String),
}

impl ConfigError {
    /// 0 for help and version, 2 for an invalid setting.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Asked(_) => 0,
            Self::Wrong(_) => 2,
        }
    }

    /// Writes the text to standard output, or the message to standard error.
    pub fn show(&self) -> io::Result<()> {
        match self {
            Self::Asked(text) => write!(io::stdout(), "{text}"),
            Self::Wrong(sentence) => writeln!(io::stderr(), "coder-logstream-kube: {sentence}"),
        }
    }

    pub(crate) fn missing(setting: Setting, why: &str) -> Self {
        let variables = setting.variables.join(" or ");
        Self::Wrong(format!("--{} (or {variables}) {why}: {}", setting.flag, setting.accepted))
    }

    pub(crate) fn value(origin: Origin, shown: &str, problem: &str, setting: Setting) -> Self {
        Self::Wrong(format!("{origin} is {shown}, {problem}; expected {}", setting.accepted))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(text) | Self::Wrong(text) => formatter.write_str(text),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Origin of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    Flag(&'static str),
    Variable { variable: &'static str, flag: &'static str },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(formatter, "--{flag}"),
            Self::Variable { variable, flag: "" } => formatter.write_str(variable),
            Self::Variable { variable, flag } => write!(formatter, "--{flag} (from {variable})"),
        }
    }
}

impl From<clap::Error> for ConfigError {
    fn from(error: clap::Error) -> Self {
        let context = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.clone()),
            Some(ContextValue::Strings(texts)) => texts.first().cloned(),
            _ => None,
        };
        let argument = context(ContextKind::InvalidArg).map(|text| name_of(&text)).unwrap_or_default();
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Self::Asked(error.render().to_string()),
            ErrorKind::UnknownArgument if argument.starts_with('-') => {
                let hint = context(ContextKind::SuggestedArg)
                    .map_or_else(|| "--help lists the flags".to_owned(), |flag| format!("did you mean {flag}?"));
                Self::Wrong(format!("{argument} is not a flag of this program; {hint}"))
            }
            // The value is not repeated, because it may contain a password.
            ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => {
                Self::Wrong("there is a value without a flag; --help lists the flags".to_owned())
            }
            ErrorKind::ArgumentConflict => {
                Self::Wrong("a command is the first argument, before its own flags; --help lists them".to_owned())
            }
            ErrorKind::InvalidValue | ErrorKind::NoEquals => {
                Self::Wrong(format!("{argument} needs a value; --help says which"))
            }
            kind => Self::Wrong(format!("the command line cannot be read: {kind}; --help lists the flags")),
        }
    }
}

/// `--coder-url` of `--coder-url <URL>` or `--coder-url=VALUE`, without the value.
fn name_of(argument: &str) -> String {
    argument.split([' ', '=']).next().unwrap_or_default().to_owned()
}
