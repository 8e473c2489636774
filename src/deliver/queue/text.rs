//! The text of a line as it is sent.

use std::{borrow::Cow, time::Duration};

use jiff::{SignedDuration, Timestamp};
use logstream_core::line::MAX_CHARS;

/// Delay after which a line starts with the time of its fact. Coder's page shows only the arrival of a line.
const LATE: SignedDuration = SignedDuration::from_secs(30);
/// Delay after which a line starts with the date too.
const ANOTHER_DAY: SignedDuration = SignedDuration::from_hours(12);
/// Escape sequence that ends ANSI colours, for a text that lost its own when it was cut.
const RESET: &str = "\u{1b}[0m";

/// Returns the output for a text about `at` that is sent at `now`: preceded by the time if it is late, without NUL,
/// which Coder's database rejects, and cut to [`MAX_CHARS`] characters.
pub(crate) fn output(text: &str, at: Timestamp, now: Timestamp) -> Cow<'_, str> {
    let age = now.duration_since(at);
    let mut output = if age > ANOTHER_DAY {
        Cow::Owned(format!("{} {text}", at.strftime("[%m-%d %H:%M:%SZ]")))
    } else if age > LATE {
        Cow::Owned(format!("{} {text}", at.strftime("[%H:%M:%SZ]")))
    } else {
        Cow::Borrowed(text)
    };
    if output.contains('\0') {
        output = Cow::Owned(output.replace('\0', "\u{fffd}"));
    }
    if let Some(cut) = cut(&output) {
        output = Cow::Owned(cut);
    }
    output
}

fn cut(text: &str) -> Option<String> {
    if text.len() <= MAX_CHARS || text.chars().count() <= MAX_CHARS {
        return None;
    }
    let reset = if text.contains('\u{1b}') { RESET } else { "" };
    let kept: String = text.chars().take(MAX_CHARS - 1 - reset.len()).collect();
    Some(format!("{kept}…{reset}"))
}

/// Age of a time, for a metric.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(at).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        "2026-07-20T12:03:05Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_line_in_time_goes_as_it_is() {
        assert!(matches!(output("Pulling image", at(0), at(30)), Cow::Borrowed("Pulling image")));
        assert_eq!(output("the clocks differ", at(40), at(0)), "the clocks differ");
    }

    #[test]
    fn a_late_line_has_its_time() {
        assert_eq!(output("Pulling image", at(0), at(31)), "[12:03:05Z] Pulling image");
        assert_eq!(output("Pulling image", at(0), at(50_000)), "[07-20 12:03:05Z] Pulling image");
    }

    #[test]
    fn no_line_is_longer_than_coder_keeps_nor_cut_within_a_character() {
        let long = "ü".repeat(MAX_CHARS);
        assert_eq!(output(&long, at(0), at(0)), long);
        let late = output(&long, at(0), at(60));
        assert_eq!(late.chars().count(), MAX_CHARS);
        assert!(late.starts_with("[12:03:05Z] ü") && late.ends_with("ü…"));
        let coloured = format!("\u{1b}[33m{long}\u{1b}[0m");
        let coloured = output(&coloured, at(0), at(0));
        assert_eq!(coloured.chars().count(), MAX_CHARS);
        assert!(coloured.ends_with("…\u{1b}[0m"));
    }

    #[test]
    fn a_nul_does_not_go_out() {
        assert_eq!(output("a\0b", at(0), at(0)), "a\u{fffd}b");
    }
}
