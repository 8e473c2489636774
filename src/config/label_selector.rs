//! Selection of pods by their labels.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Maximum lengths of a label's name or value, and of the prefix of its name.
const NAME: usize = 63;
const PREFIX: usize = 253;

/// Conditions on labels that must all hold, in the syntax of Kubernetes. `Display` writes what the API accepts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Requirement {
    key: String,
    condition: Condition,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Condition {
    Exists,
    Absent,
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Above(i64),
    Below(i64),
}

impl LabelSelector {
    /// Requirements separated by commas: `key=value`, `key==value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`,
    /// `key`, `!key`, `key>1`, `key<1`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Tokens { rest: text };
        let mut requirements = Vec::new();
        loop {
            requirements.push(Requirement::parse(&mut tokens)?);
            match tokens.next() {
                None => return Ok(Self { requirements }),
                Some(Token::Symbol(",")) => {}
                Some(other) => return Err(format!("where a comma is missing before {other}")),
            }
        }
    }

    /// True if an object with these labels matches.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.holds(labels.get(&requirement.key)))
    }
}

impl Requirement {
    fn parse(tokens: &mut Tokens<'_>) -> Result<Self, String> {
        let first = tokens.next();
        if first == Some(Token::Symbol("!")) {
            let key = key(tokens.next())?;
            return Ok(Self { key, condition: Condition::Absent });
        }
        let key = key(first)?;
        let condition = match tokens.peek() {
            None | Some(Token::Symbol(",")) => Condition::Exists,
            Some(operator) => {
                tokens.next();
                Condition::parse(operator, tokens)?
            }
        };
        Ok(Self { key, condition })
    }

    fn holds(&self, value: Option<&String>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.condition {
            Condition::Exists => value.is_some(),
            Condition::Absent => value.is_none(),
            Condition::In(values) => value.is_some_and(|value| values.contains(value)),
            Condition::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Condition::Above(bound) => number().is_some_and(|number| number > *bound),
            Condition::Below(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

impl Condition {
    fn parse(operator: Token<'_>, tokens: &mut Tokens<'_>) -> Result<Self, String> {
        Ok(match operator {
            Token::Symbol("=" | "==") => Self::In(BTreeSet::from([value(tokens)?])),
            Token::Symbol("!=") => Self::NotIn(BTreeSet::from([value(tokens)?])),
            Token::Symbol(">") => Self::Above(bound(tokens)?),
            Token::Symbol("<") => Self::Below(bound(tokens)?),
            Token::Word("in") => Self::In(set(tokens)?),
            Token::Word("notin") => Self::NotIn(set(tokens)?),
            other => return Err(format!("where {other} is not one of = == != > < in notin")),
        })
    }
}

fn key(token: Option<Token<'_>>) -> Result<String, String> {
    let Some(Token::Word(word)) = token else {
        return Err(token.map_or_else(
            || "where the last condition is missing".to_owned(),
            |token| format!("where a label's name is missing before {token}"),
        ));
    };
    let (prefix, name) = word.split_once('/').map_or((None, word), |(prefix, name)| (Some(prefix), name));
    let prefix_fits = prefix.is_none_or(|prefix| prefix.len() <= PREFIX && super::names::subdomain(prefix).is_ok());
    if prefix_fits && !name.is_empty() && is_name(name) {
        Ok(word.to_owned())
    } else {
        Err(format!("where {word:?} is not the name of a label"))
    }
}

/// A value, which may be empty.
fn value(tokens: &mut Tokens<'_>) -> Result<String, String> {
    match tokens.peek() {
        Some(Token::Word(word)) => {
            tokens.next();
            if is_name(word) { Ok(word.to_owned()) } else { Err(format!("where {word:?} is not the value of a label")) }
        }
        _ => Ok(String::new()),
    }
}

fn bound(tokens: &mut Tokens<'_>) -> Result<i64, String> {
    let text = value(tokens)?;
    text.parse().map_err(|_| format!("where {text:?} is not a whole number"))
}

fn set(tokens: &mut Tokens<'_>) -> Result<BTreeSet<String>, String> {
    if tokens.next() != Some(Token::Symbol("(")) {
        return Err("where in or notin has no ( after it".to_owned());
    }
    let mut values = BTreeSet::new();
    loop {
        values.insert(value(tokens)?);
        match tokens.next() {
            Some(Token::Symbol(",")) => {}
            Some(Token::Symbol(")")) => return Ok(values),
            _ => return Err("where a ( has no ) after it".to_owned()),
        }
    }
}

/// True for at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit; or for an empty
/// text.
fn is_name(text: &str) -> bool {
    let inside = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let at_end = |letter: Option<char>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
    text.len() <= NAME && text.chars().all(inside) && at_end(text.chars().next()) && at_end(text.chars().next_back())
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(&'a str),
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Word(text) | Self::Symbol(text)) = self;
        write!(formatter, "{text:?}")
    }
}

#[derive(Clone, Copy, Debug)]
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn peek(self) -> Option<Token<'a>> {
        let mut ahead = self;
        ahead.next()
    }

    fn next(&mut self) -> Option<Token<'a>> {
        const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", ",", "(", ")", ">", "<"];
        let text = self.rest.trim_start();
        if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| text.starts_with(symbol)) {
            let (symbol, rest) = text.split_at(symbol.len());
            self.rest = rest;
            return Some(Token::Symbol(symbol));
        }
        let ends = |letter: char| letter.is_whitespace() || "=!,()<>".contains(letter);
        let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
        self.rest = rest;
        (!word.is_empty()).then_some(Token::Word(word))
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, Requirement { key, condition }) in self.requirements.iter().enumerate() {
            formatter.write_str(if position == 0 { "" } else { "," })?;
            let list = |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
            match condition {
                Condition::Exists => write!(formatter, "{key}"),
                Condition::Absent => write!(formatter, "!{key}"),
                Condition::In(values) if values.len() == 1 => write!(formatter, "{key}={}", list(values)),
                Condition::NotIn(values) if values.len() == 1 => write!(formatter, "{key}!={}", list(values)),
                Condition::In(values) => write!(formatter, "{key} in ({})", list(values)),
                Condition::NotIn(values) => write!(formatter, "{key} notin ({})", list(values)),
                Condition::Above(bound) => write!(formatter, "{key}>{bound}"),
                Condition::Below(bound) => write!(formatter, "{key}<{bound}"),
            }?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> Result<String, String> {
        LabelSelector::parse(text).map(|selector| selector.to_string())
    }

    #[test]
    fn every_kind_of_condition_is_understood() {
        for (text, expected) in [
            ("app=coder", "app=coder"),
            ("app == coder , tier!=db", "app=coder,tier!=db"),
            ("com.coder.resource", "com.coder.resource"),
            ("!legacy", "!legacy"),
            ("app.kubernetes.io/name in (b, a)", "app.kubernetes.io/name in (a,b)"),
            ("tier notin (a,b),x", "tier notin (a,b),x"),
            ("tier in (a)", "tier=a"),
            ("empty=", "empty="),
            ("empty=,x", "empty=,x"),
            ("tier in (,a)", "tier in (,a)"),
            ("size>5,size<10", "size>5,size<10"),
            ("in in (in)", "in=in"),
        ] {
            assert_eq!(written(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, problem) in [
            ("app=coder,", "where the last condition is missing"),
            ("=coder", "where a label's name is missing before \"=\""),
            ("app coder", "where \"coder\" is not one of = == != > < in notin"),
            ("app=coder tier=db", "where a comma is missing before \"tier\""),
            ("app in a,b", "where in or notin has no ( after it"),
            ("app in (a,b", "where a ( has no ) after it"),
            ("-app=coder", "where \"-app\" is not the name of a label"),
            ("a/b/c", "where \"a/b/c\" is not the name of a label"),
            ("UPPER/name", "where \"UPPER/name\" is not the name of a label"),
            ("prefix/", "where \"prefix/\" is not the name of a label"),
            ("app=a@b", "where \"a@b\" is not the value of a label"),
            ("size>big", "where \"big\" is not a whole number"),
            ("!", "where the last condition is missing"),
        ] {
            assert_eq!(written(text), Err(problem.to_owned()), "{text}");
        }
        assert!(written(&"a".repeat(64)).is_err());
    }

    #[test]
    fn it_matches_as_the_api_server_would() {
        let labels = BTreeMap::from([("app", "coder"), ("size", "7")].map(|(key, value)| (key.into(), value.into())));
        for (text, expected) in [
            ("app", true),
            ("!app", false),
            ("!other", true),
            ("app=coder,size>5", true),
            ("size>7", false),
            ("size<8", true),
            ("app<8", false),
            ("app in (a,coder)", true),
            ("other in (a)", false),
            ("other!=a", true),
            ("app notin (coder)", false),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&labels), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_displayed_selector_parses_to_the_same(text in "[!a-c=,(<>) in]{0,24}") {
            if let Ok(selector) = LabelSelector::parse(&text) {
                prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
            }
        }
    }
}
