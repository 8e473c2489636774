//! Which scenarios are played.

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::story::Story;

/// What is played, and what would have been in a cluster of the demo's own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stories {
    pub(crate) played: Vec<Story>,
    pub(crate) left_out: Vec<Story>,
}

/// What was asked for, each once, or else the usual ones. Fails when something was asked for that needs the simulated
/// node, and there is none.
pub(crate) fn stories(wanted: &[Story], simulated_node: bool) -> Result<Stories> {
    let playable = |story: &Story| simulated_node || !story.needs_simulated_node();
    if wanted.is_empty() {
        let all = if simulated_node { &Story::USUAL[..] } else { Story::value_variants() };
        let (played, left_out) = all.iter().copied().partition(playable);
        return Ok(Stories { played, left_out });
    }
    let mut played: Vec<Story> = Vec::new();
    for story in wanted {
        if !playable(story) {
            let name = story.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
            bail!(
                "--scenario {name} cannot be played with --kubeconfig: it needs the simulated node of the demo's own \
                 cluster"
            );
        }
        if !played.contains(story) {
            played.push(*story);
        }
    }
    Ok(Stories { played, left_out: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ones_are_played_unless_told_otherwise() {
        assert_eq!(stories(&[], true).unwrap().played, Story::USUAL);
        let twice = [Story::Evicted, Story::Unschedulable, Story::Evicted];
        assert_eq!(stories(&twice, true).unwrap().played, [Story::Evicted, Story::Unschedulable]);
    }

    #[test]
    fn without_a_simulated_node_only_what_needs_none_is_played() {
        let stories = stories(&[], false).unwrap();
        assert_eq!(stories.played, [Story::QuotaExceeded, Story::Unschedulable]);
        assert!(stories.left_out.contains(&Story::OomKilled));
        let refused = super::stories(&[Story::QuotaExceeded, Story::OomKilled], false).unwrap_err().to_string();
        assert!(refused.contains("--scenario oom-killed"), "{refused}");
    }
}
