//! Patterns by which an entry recognizes its cause.

use super::symptom::{Symptom, Topic};
use crate::finding::ContainerKind;

/// Conditions that must all be met.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pattern {
    pub(super) topic: Topic,
    /// Kubernetes reasons, one of which must match; any if empty. One that ends with `*` is a prefix.
    pub(super) reasons: &'static [&'static str],
    /// Texts that are searched in the message outside names. One of these or of [`Self::raw`] must match; anything
    /// matches if both are empty. See [`search`].
    pub(super) texts: &'static [&'static str],
    /// Texts that are searched in the whole message, because they are names: of a taint, a webhook, a socket.
    pub(super) raw: &'static [&'static str],
    /// Texts, one of which must also be in the message; anything matches if empty.
    pub(super) with: &'static [&'static str],
    /// Texts that must not be in the message.
    pub(super) without: &'static [&'static str],
    /// Range of the exit code, inclusive.
    pub(super) codes: Option<(i32, i32)>,
    /// True for init containers only, false for other containers only.
    pub(super) init: Option<bool>,
}

impl Pattern {
    /// Creates a pattern that matches anything of a topic.
    pub(super) const fn of(topic: Topic) -> Self {
        Self { topic, reasons: &[], texts: &[], raw: &[], with: &[], without: &[], codes: None, init: None }
    }

    pub(super) const fn reason(mut self, reasons: &'static [&'static str]) -> Self {
        self.reasons = reasons;
        self
    }

    pub(super) const fn text(mut self, texts: &'static [&'static str]) -> Self {
        self.texts = texts;
        self
    }

    pub(super) const fn raw(mut self, texts: &'static [&'static str]) -> Self {
        self.raw = texts;
        self
    }

    pub(super) const fn with(mut self, texts: &'static [&'static str]) -> Self {
        self.with = texts;
        self
    }

    pub(super) const fn without(mut self, texts: &'static [&'static str]) -> Self {
        self.without = texts;
        self
    }

    pub(super) const fn code(mut self, from: i32, to: i32) -> Self {
        self.codes = Some((from, to));
        self
    }

    pub(super) const fn init(mut self) -> Self {
        self.init = Some(true);
        self
    }

    /// Returns the words that the wildcards stand for, if the pattern matches a symptom of its topic.
    pub(super) fn matches<'a>(&self, symptom: &'a Symptom<'_>) -> Option<Vec<&'a str>> {
        let is = |reason: &&str| match reason.as_bytes() {
            [beginning @ .., b'*'] => symptom.reason.as_bytes().starts_with(beginning),
            whole => symptom.reason.as_bytes() == whole,
        };
        let conditions = (self.reasons.is_empty() || self.reasons.iter().any(is))
            && self.codes.is_none_or(|(from, to)| symptom.code.is_some_and(|code| (from..=to).contains(&code)))
            && self.init.is_none_or(|init| init == (symptom.which == ContainerKind::Init));
        let has = |text: &&str| search(text, &symptom.lower).is_some();
        if !conditions || self.without.iter().any(has) || !(self.with.is_empty() || self.with.iter().any(has)) {
            return None;
        }
        if self.texts.is_empty() && self.raw.is_empty() {
            return Some(Vec::new());
        }
        let texts = self.texts.iter().map(|text| (text, &symptom.lower));
        let found = texts
            .chain(self.raw.iter().map(|text| (text, &symptom.raw)))
            .find_map(|(text, message)| search(text, message))?;
        Some(found.into_iter().map(|range| &symptom.text[range]).collect())
    }
}

/// Maximum length of the text that `*` stands for, in bytes.
const ANY: usize = 240;

/// Returns the positions of a pattern's wildcards in a text, if the text contains the pattern. `?` stands for a word
/// without spaces, `*` for anything within a sentence's length. Quotes around a word are not part of it.
pub(super) fn search(pattern: &str, text: &str) -> Option<Vec<std::ops::Range<usize>>> {
    let first = pattern.find(['?', '*']).unwrap_or(pattern.len());
    let (literal, rest) = pattern.split_at(first);
    if rest.is_empty() {
        return text.contains(literal).then(Vec::new);
    }
    let mut from = 0;
    // A literal may occur often without the rest of the pattern after it.
    for _ in 0..16 {
        let at = from + text[from..].find(literal)? + literal.len();
        if let Some(found) = follow(rest, text, at) {
            return Some(found);
        }
        from = at;
        if literal.is_empty() {
            return None;
        }
    }
    None
}

/// Like [`search`], for a pattern that begins with a wildcard. The wildcard stands for the text at `at`.
fn follow(pattern: &str, text: &str, at: usize) -> Option<Vec<std::ops::Range<usize>>> {
    let is_word = pattern.starts_with('?');
    let rest = &pattern[1..];
    let next = rest.find(['?', '*']).unwrap_or(rest.len());
    let (literal, after) = rest.split_at(next);
    let room = text.floor_char_boundary((at + ANY).min(text.len()));
    let word = text[at..room].find(char::is_whitespace).map_or(room, |end| at + end);
    let end = if literal.is_empty() { if is_word { word } else { room } } else { at + text[at..].find(literal)? };
    let (allowed, empty) = if is_word { (word, at == end) } else { (room, false) };
    if end > allowed || empty {
        return None;
    }
    let mut found = if after.is_empty() { Vec::new() } else { follow(after, text, end + literal.len())? };
    found.insert(0, at..end);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
        Some(search(pattern, text)?.into_iter().map(|range| &text[range]).collect())
    }

    #[test]
    fn wildcards_stand_for_words_and_for_anything() {
        assert_eq!(found("secret ? not found", "a secret \"x\" not found"), Some(vec!["\"x\""]));
        assert_eq!(found("secret ? not found", "a secret is here, x not found"), None);
        assert_eq!(found("secret ? not found", "secret is; secret \"y\" not found"), Some(vec!["\"y\""]));
        assert_eq!(found("max ? per ? is ?, but", "max cpu per pod is 2, but"), Some(vec!["cpu", "pod", "2"]));
        assert_eq!(found("a * z", "a b c z"), Some(vec!["b c"]));
        assert_eq!(found("plain", "a plain text"), Some(vec![]));
        assert_eq!(found("ends with ?", "ends with this one"), Some(vec!["this"]));
        assert_eq!(found("ends with ?", "ends with "), None);
    }

    #[test]
    fn a_long_text_is_searched_quickly() {
        for text in ["secret ", "secret \"x\" ", "a"] {
            assert_eq!(search("secret ? not found", &text.repeat(1_000_000)), None);
        }
    }
}
