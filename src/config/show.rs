//! Rejected values in error messages.

use url::Url;

/// Maximum length, in characters.
const LONGEST: usize = 160;

/// Puts the value in quotes, on one line and not too long. Parts of a URL that may be a password are masked, whatever
/// setting it belongs to.
pub(crate) fn quoted(value: &str) -> String {
    let shown = masked(value);
    let cut = shown.chars().take(LONGEST).collect::<String>();
    let dots = if cut.len() < shown.len() { "…" } else { "" };
    format!("\"{}{dots}\"", cut.escape_debug().to_string().replace("\\\"", "\""))
}

/// True if [`quoted`] masks a part that may be a secret.
pub(crate) fn is_masked(value: &str) -> bool {
    value.contains('@') || (value.contains("://") && value.contains(['?', '#']))
}

fn masked(value: &str) -> String {
    if !is_masked(value) {
        return value.to_owned();
    }
    match Url::parse(value.trim()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && !url.path().contains('@') => masked_url(&url),
        _ => value.split_once("://").map_or_else(
            || "***".to_owned(),
            |(scheme, _)| {
                // A text that is not a valid scheme may be part of a secret.
                if scheme.chars().all(|letter| letter.is_ascii_alphabetic()) {
                    format!("{scheme}://***")
                } else {
                    "***".to_owned()
                }
            },
        ),
    }
}

fn masked_url(url: &Url) -> String {
    let user = if url.username().is_empty() && url.password().is_none() { "" } else { "***@" };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = if url.query().is_some() { "?***" } else { "" };
    let fragment = if url.fragment().is_some() { "#***" } else { "" };
    format!("{}://{user}{}{port}{}{query}{fragment}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_secrets_are_masked_in_every_notation() {
        for (value, shown) in [
            ("https://coder.example.com:8443/base", "https://coder.example.com:8443/base"),
            ("https://user:pass@coder.example.com/", "https://***@coder.example.com/"),
            ("https://token@coder.example.com", "https://***@coder.example.com/"),
            ("https://coder.example.com/?token=pass", "https://coder.example.com/?***"),
            ("https://coder.example.com/#pass", "https://coder.example.com/#***"),
            ("https://user:pa/ss@coder.example.com", "https://***"),
            ("https://user:1/pass@coder.example.com", "https://***"),
            ("https://user:pass@:99999999", "https://***"),
            ("user:pass@coder.example.com", "***"),
            ("pass@word://coder.example.com", "***"),
            ("ftp://user:pass@coder.example.com", "ftp://***"),
        ] {
            assert_eq!(quoted(value), format!("\"{shown}\""));
        }
    }

    #[test]
    fn a_long_value_is_cut_and_stays_on_one_line() {
        assert_eq!(quoted("a\nb"), r#""a\nb""#);
        let shown = quoted(&"é".repeat(LONGEST + 1));
        assert_eq!(shown, format!("\"{}…\"", "é".repeat(LONGEST)));
    }
}
