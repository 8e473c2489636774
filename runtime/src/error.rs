//! Texts of errors.

use std::{error::Error, iter::successors};

/// Maximum number of sources to follow. A chain usually has a few, but could be cyclic.
const MAX_SOURCES: usize = 16;

/// Text of an error, followed by those of its sources, because the outermost often says only that a request failed.
/// Skips a source if its text is already contained.
pub fn with_sources(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for source in chain(error).skip(1) {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
    }
    text
}

/// The text of the innermost source: `Connection refused` rather than three layers of `client error`.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// An error and its sources.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source()).take(MAX_SOURCES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn layer(text: &'static str, source: Option<Layer>) -> Layer {
        Layer { text, source: source.map(Box::new) }
    }

    #[test]
    fn each_source_adds_only_new_text() {
        let error = layer("request failed: connect", Some(layer("connect", Some(layer("refused", None)))));
        assert_eq!(with_sources(&error), "request failed: connect: refused");
        assert_eq!(innermost(&error), "refused");
    }
}
