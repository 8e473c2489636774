//! A startup log as its owner reads it on Coder's page, with the time each line took in front.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use logstream_testing::coder::Line;

use crate::duration::human;
use crate::log::Told;
use crate::matching::Timing;
use crate::play::{Started, VALID_AFTER};
use crate::style::Style;
use crate::wrap::rows;

/// Columns before a line's text: two of margin, the time of day, the time it took, the mark.
const INDENT: usize = 2 + 12 + 2 + TOOK + 2 + 1 + 1;

/// `held 1.8 s + 45 ms`
const TOOK: usize = HELD + 1 + 7;
const HELD: usize = 11;

/// What the columns mean.
pub(crate) fn legend(style: Style) -> String {
    let valid = VALID_AFTER.as_secs();
    let rows = [
        "When each line came, how long that took, its level (! warning, ✗ error), its text.".to_owned(),
        "  +  3 ms      from the moment the API server told this demo's own watch of the fact (an Event, a pod's"
            .to_owned(),
        "               status) to the line's arrival at Coder".to_owned(),
        format!(
            "  held 1.8 s   the fact came before Coder accepts the agent's token, which is {valid} s after the Deployment"
        ),
        "               here and seconds in real life: the line waited for that, and + counts from there".to_owned(),
    ];
    rows.map(|row| style.dim(&row) + "\n").concat()
}

/// `alice/dev — normal start`
pub(crate) fn title(style: Style, started: &Started) -> String {
    let story = started.story;
    format!("{} — {}\n", style.bold(&story.whose()), story.title())
}

/// One line, over several rows where it is long.
pub(crate) fn line(style: Style, told: &Told) -> String {
    let text = if style.colours() { told.line.output.clone() } else { told.line.plain() };
    let front = format!(
        "  {}  {}  {} ",
        style.dim(&time_of_day(&told.line)),
        style.dim(&took(told.timing)),
        style.mark(told.line.level)
    );
    let rows = rows(text.trim_end(), style.width().saturating_sub(INDENT));
    let joined = rows.join(&format!("\n{:INDENT$}", ""));
    format!("{front}{joined}\n")
}

/// In the machine's own time zone, as a page shows it in its reader's.
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
