//! Wrapping of long lines.

/// Breaks a text at spaces into rows of at most `width` characters; a longer word gets its own row. Colour escape
/// sequences do not count.
pub(crate) fn rows(text: &str, width: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let (mut row, mut used) = (String::new(), 0);
    for word in text.split(' ') {
        let length = visible(word);
        if used > 0 && used + 1 + length > width {
            rows.push(std::mem::take(&mut row));
            used = 0;
        } else if !row.is_empty() {
            row.push(' ');
            used += 1;
        }
        row.push_str(word);
        used += length;
    }
    rows.push(row);
    rows
}

/// Number of visible characters.
pub(crate) fn visible(text: &str) -> usize {
    let mut escape = false;
    let mut seen = |character: &char| {
        if escape {
            escape = !character.is_ascii_alphabetic();
            return false;
        }
        escape = *character == '\u{1b}';
        !escape
    };
    text.chars().filter(|character| seen(character)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces() {
        assert_eq!(rows("one two three", 7), ["one two", "three"]);
        assert_eq!(rows("one two", 20), ["one two"]);
        assert_eq!(rows("a-very-long-word b", 4), ["a-very-long-word", "b"]);
        assert_eq!(rows("", 4), [""]);
    }

    #[test]
    fn colour_escapes_do_not_count() {
        assert_eq!(visible("\u{1b}[1;31mred\u{1b}[0m"), 3);
        assert_eq!(rows("\u{1b}[37mone two\u{1b}[0m", 7), ["\u{1b}[37mone two\u{1b}[0m"]);
    }
}
