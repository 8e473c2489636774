//! Summary of expected and received lines.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use logstream_testing::coder::Endpoint;

use crate::duration::human;
use crate::log::Entry;
use crate::matching::Timing;
use crate::scenario::Scenario;
use crate::style::Style;

/// A scenario's row in the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    scenario: Scenario,
    missing: Vec<&'static str>,
    lines: usize,
    first: Option<Duration>,
    slowest: Option<Duration>,
    live: Option<Duration>,
}

impl Row {
    /// Builds the row of a scenario from its log and the expected texts missing from it.
    pub(crate) fn new(scenario: Scenario, log: &[Entry], missing: Vec<&'static str>) -> Self {
        let timings = log.iter().filter_map(|entry| Some((entry.line.arrived, entry.timing?)));
        let began = log.first().map(|entry| entry.line.arrived);
        // The fact's time is the arrival minus the latency.
        let is_live = |(arrived, timing): &(Instant, Timing)| {
            timing.held.is_zero() && arrived.checked_sub(timing.took).is_some_and(|fact| Some(fact) > began)
        };
        let took = |(_, timing): (Instant, Timing)| timing.took;
        Self {
            scenario,
            missing,
            lines: log.len(),
            first: timings.clone().next().map(took),
            slowest: timings.clone().map(took).max(),
            live: timings.filter(is_live).map(took).max(),
        }
    }

    /// Returns true if all expected texts arrived.
    pub(crate) const fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    fn cells(&self) -> [String; 7] {
        let expected = self.scenario.expected().len();
        let time = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), human);
        [
            self.scenario.title().to_owned(),
            self.scenario.full_name(),
            format!("{} of {expected}", expected - self.missing.len()),
            self.lines.to_string(),
            time(self.first),
            time(self.slowest),
            time(self.live),
        ]
    }
}

const HEAD: [&str; 7] = ["scenario", "workspace", "expected texts", "lines", "first after", "slowest", "slowest live"];

/// The rows as a table, each with a mark.
pub(crate) fn table(style: Style, rows: &[Row]) -> String {
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    let width = |column: usize| {
        let all = cells.iter().map(|cells| cells[column].chars().count());
        all.chain([HEAD[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            // Words to the left, numbers to the right.
            if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        padded.collect::<Vec<_>>().join("   ")
    };
    let mut table = format!("    {}\n", style.dim(&line(&HEAD.map(str::to_owned))));
    for (row, cells) in rows.iter().zip(&cells) {
        let mark = if row.is_complete() { style.good("✓") } else { style.bad("✗") };
        let _ = writeln!(table, "  {mark} {}", line(cells));
    }
    let meaning = "    live: facts after the first line, which did not wait for the agent's token";
    table + &style.dim(meaning) + "\n"
}

/// The missing texts of each incomplete scenario; empty if all are complete.
pub(crate) fn missing(style: Style, rows: &[Row]) -> String {
    let of = |row: &Row| {
        let title = style.bad(&format!("{} — {}: no line contains", row.scenario.full_name(), row.scenario.title()));
        let texts: String = row.missing.iter().flat_map(|text| ["    ", text, "\n"]).collect();
        format!("  {title}\n{texts}")
    };
    rows.iter().filter(|row| !row.is_complete()).map(of).collect()
}

/// `42 requests to Coder: 6 × log source, 30 × lines, 6 × before the agent was valid (401)`
pub(crate) fn requests(requests: &BTreeMap<(Endpoint, u16), usize>) -> String {
    let sum = |wanted: &dyn Fn(Endpoint, u16) -> bool| -> usize {
        requests.iter().filter(|((endpoint, status), _)| wanted(*endpoint, *status)).map(|(_, count)| count).sum()
    };
    let accepted = |status: u16| (200..300).contains(&status);
    let parts = [
        (sum(&|endpoint, status| endpoint == Endpoint::LogSource && accepted(status)), "log source"),
        (sum(&|endpoint, status| endpoint == Endpoint::Logs && accepted(status)), "lines"),
        (sum(&|endpoint, status| endpoint == Endpoint::BuildInfo && accepted(status)), "version"),
        (sum(&|_, status| status == 401), "before the agent was valid (401)"),
        (sum(&|_, status| !accepted(status) && status != 401), "failed"),
    ];
    let counts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} × {what}")).collect();
    format!("{} requests to Coder: {}", sum(&|_, _| true), counts.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use jiff::Timestamp;
    use logstream_testing::coder::{Level, Line};
    use uuid::Uuid;

    use super::*;

    fn row(scenario: Scenario, missing: &[&'static str]) -> Row {
        let (first, slowest) = (Some(Duration::from_millis(12)), Some(Duration::from_millis(340)));
        Row { scenario, missing: missing.to_vec(), lines: 11, first, slowest, live: None }
    }

    #[test]
    fn the_table_is_aligned_and_marks_incomplete_scenarios() {
        let rows = [row(Scenario::NormalStart, &[]), row(Scenario::OomKilled, &["out of memory"])];
        let table = table(Style::PLAIN, &rows);
        let lines: Vec<&str> = table.lines().collect();
        let end = |line: usize, part: &str| Some(lines[line].split_once(part)?.0.chars().count() + part.len());
        assert_eq!(end(1, "12 ms"), end(0, "first after"));
        assert_eq!(end(1, "12 ms"), end(2, "12 ms"));
        assert!(lines[1].starts_with("  ✓ normal start") && lines[1].contains("6 of 6"), "{table}");
        assert!(lines[2].starts_with("  ✗ OOMKilled") && lines[2].contains("3 of 4"), "{table}");
    }

    #[test]
    fn missing_texts_are_listed() {
        assert_eq!(missing(Style::PLAIN, &[row(Scenario::NormalStart, &[])]), "");
        let text =
            missing(Style::PLAIN, &[row(Scenario::NormalStart, &[]), row(Scenario::OomKilled, &["out of memory"])]);
        assert_eq!(text, "  erin/notebook — OOMKilled: no line contains\n    out of memory\n");
    }

    #[test]
    fn requests_are_counted_by_outcome() {
        let seen = [
            ((Endpoint::LogSource, 201), 6),
            ((Endpoint::LogSource, 401), 5),
            ((Endpoint::Logs, 200), 30),
            ((Endpoint::Logs, 503), 1),
        ];
        assert_eq!(
            requests(&seen.into_iter().collect()),
            "42 requests to Coder: 6 × log source, 30 × lines, 5 × before the agent was valid (401), 1 × failed"
        );
    }

    #[test]
    fn lines_of_facts_after_the_first_line_are_live() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        // Milliseconds of the fact and of its line, for an agent that is valid after 2 s.
        let entry = |(fact, line): (u64, u64)| Entry {
            line: Line {
                at: SystemTime::UNIX_EPOCH,
                arrived: after(line),
                created_at: Timestamp::UNIX_EPOCH,
                level: Level::Debug,
                output: String::new(),
                source: Uuid::nil(),
                source_known: true,
                batch: 0,
                generation: 0,
            },
            timing: Some(Timing::of(after(fact), after(2_000), after(line))),
        };
        let log = [(100, 2_400), (1_900, 2_400), (2_300, 2_400), (3_000, 3_004), (3_100, 3_109)].map(entry);
        let row = Row::new(Scenario::Evicted, &log, vec![]);
        let milliseconds = [row.first, row.slowest, row.live].map(|time| time.unwrap().as_millis());
        assert_eq!(milliseconds, [400, 400, 9]);
        let nothing = Row::new(Scenario::Evicted, &[], vec![]);
        assert_eq!((nothing.lines, nothing.first, nothing.slowest, nothing.live), (0, None, None, None));
    }
}
