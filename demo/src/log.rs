//! A workspace's startup log, each line with its latency.

use logstream_testing::coder::Line;

use crate::facts::{Fact, Facts};
use crate::matching::{Timing, facts_of_lines};
use crate::play::Started;

/// A line and its latency.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) line: Line,
    /// `None` if no fact matches the line.
    pub(crate) timing: Option<Timing>,
}

/// The log of a workspace.
pub(crate) fn entries(started: &Started, lines: &[Line], facts: &Facts) -> Vec<Entry> {
    let own = |fact: &&Fact| {
        let suffix = fact.name.strip_prefix(&started.object);
        fact.namespace == started.namespace && suffix.is_some_and(|suffix| suffix.starts_with('-'))
    };
    let facts: Vec<&Fact> = facts.list().iter().filter(own).collect();
    let plain: Vec<String> = lines.iter().map(Line::plain).collect();
    let matched = facts_of_lines(&facts, &plain);
    let entry = |(line, fact): (&Line, Option<&Fact>)| Entry {
        line: line.clone(),
        timing: fact.map(|fact| Timing::of(fact.at, started.valid, line.arrived)),
    };
    lines.iter().zip(matched).map(entry).collect()
}
