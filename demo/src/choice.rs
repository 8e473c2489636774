//! Selection of the scenarios to play.

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::scenario::Scenario;

/// Scenarios to play, and those left out because they need the demo's own cluster.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) played: Vec<Scenario>,
    pub(crate) left_out: Vec<Scenario>,
}

/// Selects the requested scenarios, each once, or the usual ones if none is requested. Fails if a requested scenario
/// needs the simulated node and there is none.
pub(crate) fn choose(wanted: &[Scenario], simulated_node: bool) -> Result<Selection> {
    let playable = |scenario: &Scenario| simulated_node || !scenario.needs_simulated_node();
    if wanted.is_empty() {
        let all = if simulated_node { &Scenario::USUAL[..] } else { Scenario::value_variants() };
        let (played, left_out) = all.iter().copied().partition(playable);
        return Ok(Selection { played, left_out });
    }
    let mut played: Vec<Scenario> = Vec::new();
    for scenario in wanted {
        if !playable(scenario) {
            let name = scenario.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
            bail!(
                "--scenario {name} cannot be played with --kubeconfig: it needs the simulated node of the demo's own \
                 cluster"
            );
        }
        if !played.contains(scenario) {
            played.push(*scenario);
        }
    }
    Ok(Selection { played, left_out: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_scenarios_are_played_by_default() {
        assert_eq!(choose(&[], true).unwrap().played, Scenario::USUAL);
        let twice = [Scenario::Evicted, Scenario::Unschedulable, Scenario::Evicted];
        assert_eq!(choose(&twice, true).unwrap().played, [Scenario::Evicted, Scenario::Unschedulable]);
    }

    #[test]
    fn without_a_simulated_node_only_two_scenarios_are_played() {
        let scenarios = choose(&[], false).unwrap();
        assert_eq!(scenarios.played, [Scenario::QuotaExceeded, Scenario::Unschedulable]);
        assert!(scenarios.left_out.contains(&Scenario::OomKilled));
        let refused = super::choose(&[Scenario::QuotaExceeded, Scenario::OomKilled], false).unwrap_err().to_string();
        assert!(refused.contains("--scenario oom-killed"), "{refused}");
    }
}
