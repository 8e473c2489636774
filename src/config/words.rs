//! Settings with a few possible values, matched regardless of case.

use logstream_core::line::Level;
use logstream_core::render::LogStyle;

use crate::runtime::logging::LogFormat;

/// `true` or `false`.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    one_of(text, &[("true", true), ("false", false)]).ok_or_else(|| "which is neither true nor false".to_owned())
}

/// A level of lines.
pub(crate) fn level(text: &str) -> Result<Level, String> {
    let levels = [Level::Debug, Level::Warn, Level::Error].map(|level| (level.as_str(), level));
    one_of(text, &levels).ok_or_else(|| "which is not a level".to_owned())
}

/// `fancy` or `plain`.
pub(crate) fn log_style(text: &str) -> Result<LogStyle, String> {
    let styles = [LogStyle::Fancy, LogStyle::Plain].map(|style| (style.as_str(), style));
    one_of(text, &styles).ok_or_else(|| "which is not a style".to_owned())
}

/// `text` or `json`.
pub(crate) fn log_format(text: &str) -> Result<LogFormat, String> {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    one_of(text, &formats).ok_or_else(|| "which is not a format".to_owned())
}

/// Source of the serving certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    SelfManaged,
    Mounted,
}

/// `self-managed` or `mounted`.
pub(crate) fn cert_mode(text: &str) -> Result<Mode, String> {
    let modes = [("self-managed", Mode::SelfManaged), ("mounted", Mode::Mounted)];
    one_of(text, &modes).ok_or_else(|| "which is not a mode".to_owned())
}

/// The value of a word.
pub(crate) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|(_, value)| *value)
}
