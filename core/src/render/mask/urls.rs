//! Credentials in front of a host: `scheme://user:password@host`, `user:password@host`.

use std::ops::Range;

use crate::text::CUT;

/// Returns the credentials in a text.
pub(super) fn credentials(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    for run in text.split(|c: char| c.is_whitespace() || "\"'`<>".contains(c)) {
        in_run(run, at, &mut found);
        // The separator is one character.
        at += run.len();
        at += text[at..].chars().next().map_or(0, char::len_utf8);
    }
    found
}

/// Adds the credentials in a run without white space that begins at `at`.
fn in_run(run: &str, at: usize, found: &mut Vec<Range<usize>>) {
    let mut parts = run.split("://");
    let before = parts.next().unwrap_or_default();
    if let Some(secret) = without_scheme(before) {
        found.push(at + secret.start..at + secret.end);
    }
    let mut start = before.len();
    for part in parts {
        start += "://".len();
        if let Some(end) = with_scheme(part) {
            found.push(at + start..at + start + end);
        }
        start += part.len();
    }
}

/// Returns the length of the credentials at the start of the text after `://`.
fn with_scheme(part: &str) -> Option<usize> {
    let authority = &part[..part.find(['/', '?', '#']).unwrap_or(part.len())];
    if let Some(end) = authority.rfind('@') {
        return Some(end);
    }
    // A password may contain a slash that should have been escaped; `host:5000/image@sha256:…` has no password.
    if authority.contains(':') {
        if let Some(end) = part.rfind('@')
            && !is_digest(&part[end + 1..])
        {
            return Some(end);
        }
        // The host is beyond the end of a text that was cut.
        let last = authority.rsplit(':').next().unwrap_or_default().trim_end_matches(CUT);
        if part.ends_with(CUT) && part.len() == authority.len() && !last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(part.len());
        }
    }
    None
}

/// Returns the password in `user:password@host`. In an image reference (`image:tag@sha256:…`) a digest follows the `@`.
fn without_scheme(word: &str) -> Option<Range<usize>> {
    let colon = word.find(':')?;
    let end = word.rfind('@').filter(|end| *end > colon + 1)?;
    let host = &word[end + 1..];
    let user = word[..colon].bytes().next_back().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_host = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') && !is_digest(host);
    (user && is_host).then_some(colon + 1..end)
}

fn is_digest(text: &str) -> bool {
    text.starts_with("sha256:") || text.starts_with("sha512:")
}
