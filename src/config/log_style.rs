//! How the lines look that owners get.

use logstream_core::render::LogStyle;

/// `fancy` or `plain`, in capitals or not.
pub(crate) fn parse(text: &str) -> Result<LogStyle, String> {
    [LogStyle::Fancy, LogStyle::Plain]
        .into_iter()
        .find(|style| text.eq_ignore_ascii_case(style.as_str()))
        .ok_or_else(|| "which is not a style".to_owned())
}
