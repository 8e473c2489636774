//! Checks of an owner's log.

use logstream_core::causes::Area;
use logstream_scenarios::Scenario;
use logstream_testing::coder::Line;

/// Maximum number of lines with the same cause.
const MOST: usize = 5;

/// Problems of a log; empty if it explains the scenario's cause.
pub(super) fn problems(scenario: Scenario, lines: &[Line]) -> Vec<String> {
    let explaining: Vec<&Line> = lines.iter().filter(|line| scenario.explains(&line.plain())).collect();
    let mut problems = Vec::new();
    let Some(first) = explaining.first() else {
        return vec![format!("none of its {} lines says: {}", lines.len(), scenario.cause.why)];
    };
    let (level, expected) = (first.level.to_string(), scenario.cause.level.as_str());
    // A scheduler's message has several reasons, and the level of the worst one.
    if level != expected && scenario.cause.area != Area::Scheduling {
        problems.push(format!("its level is {level} instead of {expected}"));
    }
    if explaining.len() > MOST {
        problems.push(format!("{} lines have its sentence, and {MOST} are enough", explaining.len()));
    }
    problems
}
