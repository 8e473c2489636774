//! Secrets that are recognized by their own form, whatever comes before them.

use std::ops::Range;

use uuid::Uuid;

use crate::token::AgentToken;

/// Lengths of a UUID with and without hyphens.
const HYPHENATED: usize = uuid::fmt::Hyphenated::LENGTH;
const SIMPLE: usize = uuid::fmt::Simple::LENGTH;

/// Prefixes of tokens of well-known services.
const PREFIXES: [&str; 16] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "dckr_pat_",
    "npm_",
    "pypi-",
    "hvs.",
    "eyJ",
];
/// Minimum length of such a token. No token is shorter, and no ordinary word with such a prefix is as long.
const SHORTEST: usize = 20;

/// Returns the known agent tokens, and tokens of well-known services.
pub(super) fn tokens(text: &str, is_agent: &dyn Fn(AgentToken) -> bool) -> Vec<Range<usize>> {
    let mut found = uuids(text, is_agent);
    let bytes = text.as_bytes();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+/=".contains(&byte);
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_part(**byte)).count();
        // A path or `name=` may come before it.
        let word = &text[at..at + length];
        let start = word.rfind(['/', '=']).map_or(0, |slash| slash + 1);
        for start in [0, start] {
            let token = &word[start..];
            if token.len() >= SHORTEST && PREFIXES.iter().any(|prefix| token.starts_with(prefix)) {
                found.push(at + start..at + length);
                break;
            }
        }
        at += length;
        at += bytes[at..].iter().take_while(|byte| !is_part(**byte)).count();
    }
    found
}

/// Returns the UUIDs that are agent tokens. Those of pods and volumes stay, because they help to find them.
fn uuids(text: &str, is_agent: &dyn Fn(AgentToken) -> bool) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hexadecimal = bytes[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let end = at + hexadecimal;
        // The first group has eight digits; more precede them if it follows another word without a gap.
        let candidate = if bytes.get(end) == Some(&b'-') && hexadecimal >= 8 {
            Some(end - 8..end - 8 + HYPHENATED)
        } else {
            (hexadecimal == SIMPLE).then_some(at..end)
        };
        if let Some(range) = candidate
            && let Some(uuid) = text.get(range.clone()).and_then(|text| Uuid::try_parse(text).ok())
            && is_agent(AgentToken::from(uuid))
        {
            found.push(range);
        }
        at = end + 1;
    }
    found
}
