//! Masking of secrets and control characters in messages.
//!
//! Each scan goes over the text once, and does not look at any part again, whatever the text contains.

mod named;
mod tokens;
mod urls;

use std::ops::Range;

use crate::token::AgentToken;

/// Replacement for a secret.
const MASK: &str = "***";

/// Replaces secrets, and turns control characters and line separators into spaces. Invisible characters and those that
/// change the order of others are dropped, because they could hide a secret or make a line read as another. An arrow
/// becomes `->`, because this program's own words follow an arrow in a line.
///
/// Secrets are known agent tokens, values of names such as `password` (in any notation: `=`, `:`, JSON, YAML, URL,
/// header, flag), credentials in URLs, and tokens of well-known services.
pub(super) fn mask(text: &str, is_agent: &dyn Fn(AgentToken) -> bool) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !is_invisible(*c)) {
        match c {
            '\u{2192}' => plain.push_str("->"),
            '\u{2028}' | '\u{2029}' => plain.push(' '),
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    let text = plain;
    let mut secrets = named::values(&text);
    secrets.extend(urls::credentials(&text));
    secrets.extend(tokens::tokens(&text, is_agent));
    secrets.sort_unstable_by_key(|secret| secret.start);
    replace(&text, secrets)
}

/// True for NUL and for format characters: of zero width, for the direction of text, and tags.
fn is_invisible(c: char) -> bool {
    matches!(c, '\0' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Replaces these parts of a text with [`MASK`]. They may overlap, and are sorted by their starts.
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
