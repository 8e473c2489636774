//! A startup log as Coder's page shows it, with the latency of each line in front.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use logstream_testing::coder::Line;

use crate::duration::human;
use crate::log::Entry;
use crate::matching::Timing;
use crate::play::{Started, VALID_AFTER};
use crate::style::Style;
use crate::wrap::rows;

/// Columns before a line's text: margin, time of day, latency, level mark.
const INDENT: usize = 2 + 12 + 2 + TOOK + 2 + 1 + 1;

/// `held 1.8 s + 45 ms`
const TOOK: usize = HELD + 1 + 7;
const HELD: usize = 11;

/// Explanation of the columns.
pub(crate) fn legend(style: Style) -> String {
    let valid = VALID_AFTER.as_secs();
    let rows = [
        "Columns: arrival time, latency, level (! warning, ✗ error), text.".to_owned(),
        "  +  3 ms      latency: from when this demo's own watch received the fact (an Event or a pod status) to the"
            .to_owned(),
        "               line's arrival at Coder".to_owned(),
        format!(
            "  held 1.8 s   the line waited until Coder accepted the agent's token, {valid} s after the Deployment here"
        ),
        "               and some seconds in a real Coder; the latency counts from then".to_owned(),
    ];
    rows.map(|row| style.dim(&row) + "\n").concat()
}

/// `alice/dev — normal start`
pub(crate) fn title(style: Style, started: &Started) -> String {
    let scenario = started.scenario;
    format!("{} — {}\n", style.bold(&scenario.full_name()), scenario.title())
}

/// One log line, wrapped to the terminal's width.
pub(crate) fn line(style: Style, entry: &Entry) -> String {
    let text = if style.colours() { entry.line.output.clone() } else { entry.line.plain() };
    let front = format!(
        "  {}  {}  {} ",
        style.dim(&time_of_day(&entry.line)),
        style.dim(&took(entry.timing)),
        style.mark(entry.line.level)
    );
    let rows = rows(text.trim_end(), style.width().saturating_sub(INDENT));
    let joined = rows.join(&format!("\n{:INDENT$}", ""));
    format!("{front}{joined}\n")
}

/// One log line without its latency, wrapped to the terminal's width.
pub(crate) fn bare_line(style: Style, line: &Line) -> String {
    const INDENT: usize = 4 + 2;
    let text = if style.colours() { line.output.clone() } else { line.plain() };
    let rows = rows(text.trim_end(), style.width().saturating_sub(INDENT));
    format!("    {} {}\n", style.mark(line.level), rows.join(&format!("\n{:INDENT$}", "")))
}

/// Time of day in the machine's time zone.
fn time_of_day(line: &Line) -> String {
    let at = Timestamp::try_from(line.at).unwrap_or_default().to_zoned(TimeZone::system());
    at.strftime("%H:%M:%S%.3f").to_string()
}

fn took(timing: Option<Timing>) -> String {
    let Some(Timing { held, took }) = timing else { return format!("{:TOOK$}", "") };
    let held = if held.is_zero() { String::new() } else { format!("held {}", human(held)) };
    let (number, unit) = human(took).split_once(' ').map(|(n, u)| (n.to_owned(), u.to_owned())).unwrap_or_default();
    format!("{held:<HELD$} +{number:>3} {unit:<2}")
}
