//! Selection of the scenarios to play.

use anyhow::{Result, bail};
use clap::ValueEnum;
use logstream_scenarios::Scenario as Entry;

use crate::args::Args;
use crate::scenario::Scenario;

/// Prefix that selects the catalogue's scenario where a built-in one has the same name.
const PREFIX: &str = "cause:";

/// A scenario as `--scenario` names it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Choice {
    /// A built-in scenario, as played without this option.
    Story(Scenario),
    /// The scenario of a cause.
    Entry(Entry),
}

impl PartialEq for Choice {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Story(one), Self::Story(other)) => one == other,
            (Self::Entry(one), Self::Entry(other)) => one.cause == other.cause,
            _ => false,
        }
    }
}

/// Parses a scenario's name.
pub(crate) fn choice(name: &str) -> Result<Choice, String> {
    if let Ok(story) = Scenario::from_str(name, false) {
        return Ok(Choice::Story(story));
    }
    let entry = Entry::find(name.strip_prefix(PREFIX).unwrap_or(name));
    entry.map(Choice::Entry).ok_or_else(|| {
        let stories: Vec<_> = Scenario::value_variants().iter().map(|story| name_of(*story)).collect();
        format!("there are {}, and the names of causes; cargo demo --list prints all", stories.join(", "))
    })
}

fn name_of(story: Scenario) -> String {
    story.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Scenarios to play, and those left out because they need the demo's own cluster.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) stories: Vec<Scenario>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) left_out: Vec<Scenario>,
}

/// Selects the requested scenarios, each once, or the default ones if none is requested. Fails if a requested scenario
/// needs the demo's own cluster and there is none.
pub(crate) fn choose(args: &Args) -> Result<Selection> {
    if args.all {
        return Ok(Selection { entries: Entry::all().collect(), ..Selection::default() });
    }
    let own_cluster = args.kubeconfig.is_none();
    let playable = |scenario: &Scenario| own_cluster || !scenario.needs_simulated_node();
    if args.scenarios.is_empty() {
        let all = if own_cluster { &Scenario::USUAL[..] } else { Scenario::value_variants() };
        let (stories, left_out) = all.iter().copied().partition(playable);
        return Ok(Selection { stories, left_out, ..Selection::default() });
    }
    let mut selection = Selection::default();
    for (index, choice) in args.scenarios.iter().enumerate() {
        let (name, possible) = match choice {
            Choice::Story(story) => (name_of(*story), playable(story)),
            Choice::Entry(entry) => (entry.name().to_owned(), own_cluster),
        };
        if !possible {
            bail!(
                "--scenario {name} cannot be played with --kubeconfig: it needs the simulated node of the demo's own \
                 cluster"
            );
        }
        if args.scenarios[..index].contains(choice) {
            continue;
        }
        match choice {
            Choice::Story(story) => selection.stories.push(*story),
            Choice::Entry(entry) => selection.entries.push(*entry),
        }
    }
    Ok(selection)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn chosen(arguments: &[&str]) -> Result<Selection> {
        choose(&Args::try_parse_from([&["cargo demo"], arguments].concat())?)
    }

    #[test]
    fn the_usual_scenarios_are_played_by_default() {
        assert_eq!(chosen(&[]).unwrap().stories, Scenario::USUAL);
        let twice = chosen(&["--scenario=evicted", "--scenario=unschedulable", "--scenario=evicted"]).unwrap();
        assert_eq!(twice.stories, [Scenario::Evicted, Scenario::Unschedulable]);
    }

    #[test]
    fn without_a_simulated_node_only_two_scenarios_are_played() {
        let scenarios = chosen(&["--kubeconfig=x"]).unwrap();
        assert_eq!(scenarios.stories, [Scenario::QuotaExceeded, Scenario::Unschedulable]);
        assert!(scenarios.left_out.contains(&Scenario::OomKilled));
        for name in ["oom-killed", "oom_killed"] {
            let refused = chosen(&["--kubeconfig=x", "--scenario", name]).unwrap_err().to_string();
            assert!(refused.contains(&format!("--scenario {name}")), "{refused}");
        }
    }

    #[test]
    fn a_cause_is_a_scenario() {
        let names = |arguments: &[&str]| {
            chosen(arguments).unwrap().entries.iter().map(|entry| entry.name()).collect::<Vec<_>>()
        };
        assert_eq!(
            names(&["--scenario=cause:evicted", "--scenario=exit_126", "--scenario=exit_126"]),
            ["evicted", "exit_126"]
        );
        assert_eq!(names(&["--all"]).len(), Entry::all().count());
        assert!(chosen(&["--scenario=exit_125"]).unwrap_err().to_string().contains("--list"));
    }
}
