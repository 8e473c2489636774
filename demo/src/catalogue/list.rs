//! `--list`: the names of all scenarios.

use std::fmt::Write;

use clap::ValueEnum;
use logstream_scenarios::Scenario;

use super::Source;
use crate::scenario::Scenario as Story;

const HEAD: &str = "Stories, played without an option:\n";

const CATALOGUE: &str = "
The scenarios of the catalogue of causes (docs/failures.md), played by --all:
  real       the API server, the scheduler and the controllers play it themselves
  captured   Events and states of a real kubelet, in their order, written for a real pod
  message    the message of a component that cannot run here, written as it would write it
";

/// The list.
pub(crate) fn text() -> String {
    let mut text = HEAD.to_owned();
    for story in Story::value_variants() {
        let Some(value) = story.to_possible_value() else { continue };
        let _ = writeln!(
            text,
            "  {:<28} {}",
            value.get_name(),
            value.get_help().map(ToString::to_string).unwrap_or_default()
        );
    }
    text += CATALOGUE;
    let mut area = None;
    for scenario in Scenario::all() {
        if area.replace(scenario.cause.area) != Some(scenario.cause.area) {
            let _ = writeln!(text, "\n{}", scenario.cause.area.as_str());
        }
        let source = Source::of(scenario).name();
        let _ = writeln!(text, "  {:<28} {source:<9} {}", scenario.name(), scenario.cause.title);
    }
    text
}
