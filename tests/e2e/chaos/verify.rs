//! Compares each agent's log with what happened to its pod.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use logstream_testing::coder::Line;

use super::{Doubts, catalogue::Expected, workspaces::Life, writes::SlowWrites};
use crate::{
    facts::{fact, have_come},
    isolated_cluster::IsolatedCluster,
    support::{count, texts},
};

/// Deadline for the creation of a pod: the webhook's timeout, and time for everything else. Time in which the API server
/// was slow for another write, which no webhook sees, is added.
const CREATED_WITHIN: Duration = Duration::from_secs(5);

/// Waits until every fact of these workspaces has a line.
pub(super) async fn all_delivered(isolated: &IsolatedCluster, histories: &[Life], within: Duration) -> Result<()> {
    let end = Instant::now() + within;
    for life in histories {
        let whole = |lines: &[Line]| {
            have_come(lines, 0..life.facts) && life.expected.has_come(lines) && count(lines, "Created pod") > 0
        };
        let left = end.saturating_duration_since(Instant::now());
        let lines = isolated.coder.wait_for_lines(&life.agent, left, whole).await;
        lines.with_context(|| format!("the {} facts of {}", life.facts, life.pod))?;
    }
    Ok(())
}

/// Asserts that no line is foreign, out of order, or repeated without a reason. Returns a summary.
pub(super) fn verify(
    isolated: &IsolatedCluster,
    histories: &[Life],
    doubts: &Doubts,
    slow: &SlowWrites,
) -> Result<String> {
    let (mut wrong, mut repeats, mut lines_in_all) = (String::new(), 0, 0);
    for life in histories {
        let lines = isolated.coder.lines(&life.agent);
        lines_in_all += lines.len();
        let problems = problems_of(life, &lines, doubts, &mut repeats);
        if !problems.is_empty() {
            let _ = writeln!(wrong, "{}: {problems}\n{:#?}", life.pod, texts(&lines));
        }
        if let Some((start, took)) = life.created {
            let slow = slow.within(start, start + took);
            if took > CREATED_WITHIN + slow {
                let at = doubts.since_start(start);
                let _ = writeln!(wrong, "{} was created in {took:?} at {at:.1?}, with slow writes {slow:?}", life.pod);
            }
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
    let (created, deleted) = (format!("Created pod: {}", life.pod), format!("Deleted pod: {}", life.pod));
    let facts: Vec<String> = (0..life.facts).map(|n| format!("{} {}", fact(n), life.pod)).collect();
    let Expected { events, state } = &life.expected;
    let all = || [&created, &deleted].into_iter().chain(&facts).chain(events).chain(state);
    for line in shown.iter().filter(|line| !all().any(|text| line.contains(text))) {
        let _ = write!(problems, "a foreign or unexpected line {line:?}; ");
    }
    for text in all() {
        let places: Vec<_> = (0..shown.len()).filter(|&place| shown[place].contains(text)).collect();
        match places.first() {
            None if *text == deleted => {}
            None => _ = write!(problems, "no {text:?}; "),
            Some(&first) => {
                *repeats += places.len() - 1;
                if places.len() > 1 && !doubts.cover(lines[first].arrived) {
                    let times: Vec<_> = places.iter().map(|&place| doubts.since_start(lines[place].arrived)).collect();
                    let _ = write!(problems, "{text:?} at {times:.1?} without a reason; ");
                }
            }
        }
    }
    let first = |text: &String| shown.iter().position(|line| line.contains(text));
    for texts in [&facts, events] {
        let places: Vec<_> = [&created].into_iter().chain(texts).filter_map(first).collect();
        if !places.is_sorted() {
            let _ = write!(problems, "out of order: {places:?}; ");
        }
    }
    problems
}
