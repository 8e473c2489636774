//! Texts of errors.

use std::{error::Error, iter::successors};

/// The text of an error with those of its sources, since the outermost often says only that a request failed. A source
/// whose text is already contained is left out.
pub fn with_sources(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for source in successors(error.source(), |error: &&(dyn Error + 'static)| (*error).source()) {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
    }
    text
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
    fn each_source_adds_what_is_not_said_yet() {
        let error = layer("request failed: connect", Some(layer("connect", Some(layer("refused", None)))));
        assert_eq!(with_sources(&error), "request failed: connect: refused");
    }
}
