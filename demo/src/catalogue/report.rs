//! Results of the played scenarios, as text.

use std::fmt::Write;
use std::time::Duration;

use super::{Outcome, Source};
use crate::page;
use crate::style::Style;

/// One scenario: its name, and its whole log or only the line that explains the cause.
pub(crate) fn block(style: Style, outcome: &Outcome, whole: bool) -> String {
    let scenario = outcome.scenario;
    let mark = if outcome.problems.is_empty() { style.good("✓") } else { style.bad("✗") };
    let source = Source::of(scenario).name();
    let lines = match outcome.lines.len() {
        1 => "1 line".to_owned(),
        number => format!("{number} lines"),
    };
    let mut text = format!(
        "{mark} {} {}\n",
        style.bold(scenario.name()),
        style.dim(&format!("({source}, {lines}) {}", scenario.cause.title))
    );
    let explains = |line: &&logstream_testing::coder::Line| scenario.explains(&line.plain());
    let shown: Vec<_> = match outcome.lines.iter().find(explains) {
        Some(line) if !whole => vec![line],
        _ => outcome.lines.iter().collect(),
    };
    for line in shown {
        text += &page::bare_line(style, line);
    }
    for problem in &outcome.problems {
        let _ = writeln!(text, "    {}", style.bad(problem));
    }
    text
}

/// Number of played scenarios, and the failed ones.
pub(crate) fn summary(style: Style, outcomes: &[Outcome]) -> String {
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.problems.is_empty()).collect();
    let of = |source| outcomes.iter().filter(|outcome| Source::of(outcome.scenario) == source).count();
    let slowest = outcomes.iter().map(|outcome| outcome.took).max().unwrap_or(Duration::ZERO);
    let mut text = format!(
        "{} of {} scenarios explain their cause to the owner ({} real, {} captured, {} by their message); the slowest took {} s\n",
        outcomes.len() - failed.len(),
        outcomes.len(),
        of(Source::Real),
        of(Source::Captured),
        of(Source::Message),
        slowest.as_secs(),
    );
    for outcome in failed {
        let _ = writeln!(text, "  {} {}: {}", style.bad("✗"), outcome.scenario.name(), outcome.problems.join("; "));
    }
    text
}
