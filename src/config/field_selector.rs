//! Selection of pods by their fields.

use std::fmt;

/// Conditions on fields of a pod that must all hold, in the syntax of Kubernetes. `Display` writes what the API
/// accepts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Term {
    field: String,
    equal: bool,
    value: String,
}

/// Fields by which kube-apiserver 1.37 can select pods (pkg/apis/core/v1/conversion.go). It answers any other with 400.
const FIELDS_OF_PODS: [&str; 12] = [
    "metadata.name",
    "metadata.namespace",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
    "spec.host",
];

impl FieldSelector {
    /// Parses conditions separated by commas. A backslash escapes a comma, equals sign or backslash.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        for term in split_unescaped(text) {
            let term = term.trim();
            if !term.is_empty() {
                terms.push(Term::parse(term)?);
            }
        }
        if terms.is_empty() { Err("which has no condition".to_owned()) } else { Ok(Self { terms }) }
    }

    /// True if an object matches. `field` returns a field's value; `None` is the same as an empty one.
    pub fn matches<'a>(&self, field: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.terms.iter().all(|term| (field(&term.field).unwrap_or_default() == term.value) == term.equal)
    }

    /// Fields by which Kubernetes 1.37 cannot select pods. A newer version may.
    pub(crate) fn unknown_fields(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|term| term.field.as_str()).filter(|field| !FIELDS_OF_PODS.contains(field))
    }
}

impl Term {
    fn parse(term: &str) -> Result<Self, String> {
        let (field, operator, value) =
            split_at_operator(term).ok_or_else(|| format!("where {term:?} has no =, == or !="))?;
        let field = field.trim();
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-' | '/');
        if field.is_empty() || !field.chars().all(allowed) {
            return Err(format!("where {field:?} is not the name of a field"));
        }
        let value = unescape(value.trim())?;
        Ok(Self { field: field.to_owned(), equal: operator != "!=", value })
    }
}

/// Splits at the first operator. The longer ones take precedence.
fn split_at_operator(term: &str) -> Option<(&str, &str, &str)> {
    let at = term.find('=')?;
    let (before, after) = term.split_at(at);
    if let Some(field) = before.strip_suffix('!') {
        return Some((field, "!=", &after[1..]));
    }
    Some(after.strip_prefix("==").map_or((before, "=", &after[1..]), |value| (before, "==", value)))
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, letter) in text.char_indices() {
        if letter == ',' && !escaped {
            parts.push(&text[start..at]);
            start = at + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

fn unescape(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(next @ ('\\' | ',' | '=')) => plain.push(next),
                _ => return Err("where a backslash is not followed by one of \\ , =".to_owned()),
            },
            '=' => return Err("where a value has an = without a backslash before it".to_owned()),
            other => plain.push(other),
        }
    }
    Ok(plain)
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, term) in self.terms.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            let operator = if term.equal { "=" } else { "!=" };
            let value = term.value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            write!(formatter, "{comma}{}{operator}{value}", term.field)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_operators_are_understood_and_written_as_kubernetes_takes_them() {
        for (text, written) in [
            ("spec.nodeName=node-1", "spec.nodeName=node-1"),
            ("status.phase==Running, spec.nodeName!=node-1 ,", "status.phase=Running,spec.nodeName!=node-1"),
            ("spec.nodeName=", "spec.nodeName="),
            (r"metadata.name=a\,b\=c\\d", r"metadata.name=a\,b\=c\\d"),
        ] {
            assert_eq!(FieldSelector::parse(text).map(|selector| selector.to_string()), Ok(written.to_owned()));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, problem) in [
            (",", "which has no condition"),
            ("spec.nodeName", "where \"spec.nodeName\" has no =, == or !="),
            ("=node-1", "where \"\" is not the name of a field"),
            ("a b=c", "where \"a b\" is not the name of a field"),
            ("a=b=c", "where a value has an = without a backslash before it"),
            ("a===b", "where a value has an = without a backslash before it"),
            (r"a=b\c", r"where a backslash is not followed by one of \ , ="),
        ] {
            assert_eq!(FieldSelector::parse(text), Err(problem.to_owned()), "{text}");
        }
    }

    #[test]
    fn it_matches_as_the_api_server_would() {
        let selector = FieldSelector::parse("status.phase=Pending,spec.nodeName!=node-1").unwrap();
        let pod = |phase: &'static str, node: Option<&'static str>| {
            selector.matches(|field| if field == "status.phase" { Some(phase) } else { node })
        };
        assert!(pod("Pending", None));
        assert!(pod("Pending", Some("node-2")));
        assert!(!pod("Pending", Some("node-1")));
        assert!(!pod("Running", None));
    }

    #[test]
    fn a_field_that_pods_have_not_got_is_found() {
        let selector = FieldSelector::parse("involvedObject.kind=Pod,spec.nodeName=a").unwrap();
        assert_eq!(selector.unknown_fields().collect::<Vec<_>>(), ["involvedObject.kind"]);
    }
}
