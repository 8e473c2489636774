//! Secrets and control characters in messages.
//!
//! Each scan goes over the text once: what it has looked at it does not look at again, whatever the text holds.

mod named;
mod tokens;
mod urls;

use std::ops::Range;

use crate::token::AgentToken;

/// Stands for a secret.
const MASK: &str = "***";

/// Replaces secrets, and turns control characters into spaces.
///
/// Secrets are agent tokens that are known, values of names such as `password` (however they are written: `=`, `:`, JSON,
/// YAML, URL, header, flag), credentials in URLs, and tokens of well-known services.
pub(super) fn mask(text: &str, is_agent: &dyn Fn(AgentToken) -> bool) -> String {
    let text: String = text.chars().filter(|c| *c != '\0').map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut secrets = named::values(&text);
    secrets.extend(urls::credentials(&text));
    secrets.extend(tokens::tokens(&text, is_agent));
    secrets.sort_unstable_by_key(|secret| secret.start);
    replace(&text, secrets)
}

/// Replaces these parts of a text, which may overlap and are sorted by their starts.
fn replace(text: &str, secrets: Vec<Range<usize>>) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for Range { start, end } in secrets {
        if start >= done {
            masked.push_str(&text[done..start]);
            masked.push_str(MASK);
        }
        done = done.max(end);
    }
    masked.push_str(&text[done..]);
    masked
}

#[cfg(test)]
mod tests;
