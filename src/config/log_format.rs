//! How the process's own log looks.

use crate::runtime::logging::LogFormat;

/// `text` or `json`, in capitals or not.
pub(crate) fn parse(text: &str) -> Result<LogFormat, String> {
    match text.to_ascii_lowercase().as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("which is not a format".to_owned()),
    }
}
