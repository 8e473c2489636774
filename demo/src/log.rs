//! A workspace's startup log, each line with the time it took.

use logstream_testing::coder::Line;

use crate::facts::{Fact, Facts};
use crate::matching::{Timing, facts_of_lines};
use crate::play::Started;

/// A line as it came.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) line: Line,
    /// `None` where the demo's own watch saw no fact of that text.
    pub(crate) timing: Option<Timing>,
}

/// The log of a workspace.
pub(crate) fn told(started: &Started, lines: &[Line], facts: &Facts) -> Vec<Told> {
    let own = |fact: &&Fact| {
        let suffix = fact.name.strip_prefix(&started.object);
        fact.namespace == started.namespace && suffix.is_some_and(|suffix| suffix.starts_with('-'))
    };
    let facts: Vec<&Fact> = facts.list().iter().filter(own).collect();
    let plain: Vec<String> = lines.iter().map(Line::plain).collect();
    let matched = facts_of_lines(&facts, &plain);
    let tell = |(line, fact): (&Line, Option<&Fact>)| Told {
        line: line.clone(),
        timing: fact.map(|fact| Timing::of(fact.at, started.valid, line.arrived)),
    };
    lines.iter().zip(matched).map(tell).collect()
}
