//! Secrets and control characters that stand in messages.

const MASK: &str = "***";

/// Names whose value is a secret when `=` follows; those marked also when `:` does.
const SECRET_NAMES: [(&str, bool); 6] = [
    ("token", false),
    ("password", true),
    ("passwd", true),
    ("secret", false),
    ("authorization", true),
    ("apikey", true),
];

/// Takes out the agents' tokens, passwords in URLs, and values of `password=…`, `token=…`, `Bearer …` and their like;
/// turns control characters but the escape of colours into spaces.
pub(super) fn mask(text: &str, tokens: &[String]) -> String {
    let mut text: String = text.chars().filter(|c| *c != '\0').map(|c| if c.is_control() { ' ' } else { c }).collect();
    for token in tokens {
        text = text.replace(token.as_str(), MASK);
    }
    mask_values(&mask_user_info(&text))
}

/// `scheme://user:password@host` → `scheme://***@host`
fn mask_user_info(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        masked.push_str(before);
        let authority = after.find(|c: char| "/?#\"'`<>".contains(c) || c.is_whitespace()).unwrap_or(after.len());
        rest = match after[..authority].rfind('@') {
            Some(end) => {
                masked.push_str(MASK);
                &after[end..]
            }
            None => after,
        };
    }
    masked.push_str(rest);
    masked
}

fn mask_values(text: &str) -> String {
    // ASCII lower case keeps every byte where it is.
    let lower = text.to_ascii_lowercase();
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    while let Some((start, end)) = next_value(text, &lower, done) {
        masked.push_str(&text[done..start]);
        masked.push_str(MASK);
        done = end;
    }
    masked.push_str(&text[done..]);
    masked
}

/// The first secret value at or behind `from`, as byte positions.
fn next_value(text: &str, lower: &str, from: usize) -> Option<(usize, usize)> {
    let named = SECRET_NAMES.iter().flat_map(|&(name, colon)| {
        lower[from..].match_indices(name).filter_map(move |(at, _)| value_behind(text, from + at + name.len(), colon))
    });
    let bearer = lower[from..].match_indices("bearer ").filter_map(|(at, word)| value_at(text, from + at + word.len()));
    named.chain(bearer).min()
}

/// The value behind a name that ends at `at`, where `=` (or `:`) stands between.
fn value_behind(text: &str, at: usize, colon: bool) -> Option<(usize, usize)> {
    let rest = text[at..].trim_start_matches(['"', '\'']);
    let separated = rest.strip_prefix('=').or_else(|| colon.then(|| rest.strip_prefix(':')).flatten())?;
    let value = separated.trim_start_matches(' ');
    value_at(text, text.len() - value.len())
}

fn value_at(text: &str, at: usize) -> Option<(usize, usize)> {
    let value = text[at..].trim_start_matches(['"', '\'']);
    let start = text.len() - value.len();
    let length = value.find(|c: char| "\"',;&)".contains(c) || c.is_whitespace()).unwrap_or(value.len());
    // `authorization: Bearer …`: the scheme is no secret, and what follows it is found by its own name.
    let scheme = value[..length].eq_ignore_ascii_case("bearer") || value[..length].eq_ignore_ascii_case("basic");
    (length > 0 && !scheme && value[..length] != *MASK).then_some((start, start + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_goes_and_the_rest_stays() {
        for (text, masked) in [
            ("plain words", "plain words"),
            ("https://u:p@h/x and http://h/y", "https://***@h/x and http://h/y"),
            ("token=abc, next", "token=***, next"),
            ("PASSWORD: 'x y'", "PASSWORD: '*** y'"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
            ("secret \"agent-token\" not found", "secret \"agent-token\" not found"),
            ("couldn't find key token in Secret ns/agent", "couldn't find key token in Secret ns/agent"),
            ("a\nb\0c\u{1b}[31m", "a bc [31m"),
            ("ünï token=Ä €", "ünï token=*** €"),
        ] {
            assert_eq!(mask(text, &[]), masked);
        }
    }
}
