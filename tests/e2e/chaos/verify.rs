//! Compares each agent's log with what happened to its pod.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use logstream_testing::coder::Line;

use super::{Doubts, workspaces::Life};
use crate::{
    facts::{fact, have_come},
    isolated_cluster::IsolatedCluster,
    support::{count, texts},
};

/// The webhook's timeout, and time for everything else.
const CREATED_WITHIN: Duration = Duration::from_secs(5);

/// Waits until every fact of these workspaces has a line.
pub(super) async fn all_delivered(isolated: &IsolatedCluster, histories: &[Life], within: Duration) -> Result<()> {
    let end = Instant::now() + within;
    for life in histories {
        let whole = |lines: &[Line]| have_come(lines, 0..life.facts) && count(lines, "Created pod") > 0;
        let left = end.saturating_duration_since(Instant::now());
        let lines = isolated.coder.wait_for_lines(&life.agent, left, whole).await;
        lines.with_context(|| format!("the {} facts of {}", life.facts, life.pod))?;
    }
    Ok(())
}

/// Asserts that no line is foreign, out of order, or repeated without a reason. Returns a summary.
pub(super) fn verify(isolated: &IsolatedCluster, histories: &[Life], doubts: &Doubts) -> Result<String> {
    let (mut wrong, mut repeats, mut lines_in_all) = (String::new(), 0, 0);
    for life in histories {
        let lines = isolated.coder.lines(&life.agent);
        lines_in_all += lines.len();
        let problems = problems_of(life, &lines, doubts, &mut repeats);
        if !problems.is_empty() {
            let _ = writeln!(wrong, "{}: {problems}\n{:#?}", life.pod, texts(&lines));
        }
        if let Some(time) = life.created_in.filter(|time| *time > CREATED_WITHIN) {
            let _ = writeln!(wrong, "{} was created in {time:?}", life.pod);
        }
    }
    let violations = isolated.coder.violations();
    if !violations.is_empty() {
        let _ = writeln!(wrong, "{violations:#?}");
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(format!("{lines_in_all} lines, {repeats} of them repeated in times of doubt"))
}

fn problems_of(life: &Life, lines: &[Line], doubts: &Doubts, repeats: &mut usize) -> String {
    let shown: Vec<String> = lines.iter().map(Line::plain).collect();
    let mut problems = String::new();
    for line in shown.iter().filter(|line| !line.contains(&life.pod)) {
        let _ = write!(problems, "a foreign line {line:?}; ");
    }
    let known = [format!("Created pod: {}", life.pod), format!("Deleted pod: {}", life.pod)];
    let facts: Vec<String> = (0..life.facts).map(fact).collect();
    for line in shown.iter().filter(|line| !known.iter().chain(&facts).any(|text| line.contains(text))) {
        let _ = write!(problems, "an unexpected line {line:?}; ");
    }
    let mut last = None;
    for text in known.iter().chain(&facts) {
        let places: Vec<_> = (0..shown.len()).filter(|&place| shown[place].contains(text)).collect();
        let is_deletion = text.starts_with("Deleted");
        let Some(first) = places.first().copied() else {
            if !is_deletion {
                let _ = write!(problems, "no {text:?}; ");
            }
            continue;
        };
        if places[1..].iter().any(|_| !doubts.cover(lines[first].arrived)) {
            let _ = write!(problems, "{text:?} at {places:?} without a reason; ");
        }
        *repeats += places.len() - 1;
        if !is_deletion {
            if last.is_some_and(|last| first < last) {
                let _ = write!(problems, "{text:?} comes too early; ");
            }
            last = Some(first);
        }
    }
    problems
}
