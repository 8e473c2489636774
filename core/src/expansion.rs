//! References to other environment variables, `$(NAME)`, as the kubelet expands them in `value` of `env`.

/// A part of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Literal text.
    Text(&'a str),
    /// Reference to this variable; stays as `$(NAME)` if the variable is unknown.
    Variable(&'a str),
}

/// Splits a value: `$(NAME)` is a reference, `$$` is a single `$`, and any other `$` stays.
pub(crate) fn pieces(value: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, length) = next(rest);
        rest = &rest[length..];
        Some(piece)
    })
}

/// Returns the first piece of a non-empty text, and its length in bytes.
fn next(text: &str) -> (Piece<'_>, usize) {
    let Some(at) = text.find('$') else { return (Piece::Text(text), text.len()) };
    if at > 0 {
        return (Piece::Text(&text[..at]), at);
    }
    match text.as_bytes().get(1) {
        Some(b'$') => (Piece::Text("$"), 2),
        Some(b'(') => match text.find(')') {
            Some(end) => (Piece::Variable(&text[2..end]), end + 1),
            // Without a closing parenthesis, nothing that follows is a reference either.
            None => (Piece::Text(text), text.len()),
        },
        _ => (Piece::Text("$"), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expands a value in which only `A` is known, as `a`.
    fn expand(value: &str) -> String {
        pieces(value)
            .map(|piece| match piece {
                Piece::Text(text) => text.to_owned(),
                Piece::Variable("A") => "a".to_owned(),
                Piece::Variable(name) => format!("$({name})"),
            })
            .collect()
    }

    /// Cases from the documentation of Kubernetes' `third_party/forked/golang/expansion`.
    #[test]
    fn references_expand_as_in_kubernetes() {
        for (value, expanded) in [
            ("", ""),
            ("x", "x"),
            ("$(A)", "a"),
            ("x$(A)y$(A)", "xaya"),
            ("$(B)", "$(B)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$a"),
            ("$$$$(A)", "$$(A)"),
            ("$A", "$A"),
            ("${A}", "${A}"),
            ("$(A", "$(A"),
            ("$", "$"),
            ("$$", "$"),
            ("x$", "x$"),
            ("$()", "$()"),
            ("$(A)$", "a$"),
            ("é$(A)é", "éaé"),
        ] {
            assert_eq!(expand(value), expanded, "{value}");
        }
    }
}
