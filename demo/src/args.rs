//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::choice::{Choice, choice};

/// Shows what coder-logstream-kube does, on this machine: a real Kubernetes control plane on loopback, a stand-in for
/// Coder, workspaces that start well or badly, and the startup log that each owner reads.
///
/// Nothing is left behind, even after Ctrl-C. The first run downloads the control plane, or builds it from source.
#[derive(Debug, Parser)]
#[command(name = "cargo demo", bin_name = "cargo demo", max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Play this scenario; may be given several times. Without it, six stories are played.
    #[arg(long = "scenario", value_name = "NAME", value_parser = choice)]
    pub(crate) scenarios: Vec<Choice>,

    /// Print the name of each scenario and what it shows, and end.
    #[arg(long)]
    pub(crate) list: bool,

    /// Play the scenario of each cause of docs/failures.md, side by side; takes minutes.
    #[arg(long, conflicts_with_all = ["scenarios", "kubeconfig"])]
    pub(crate) all: bool,

    /// Also write the logs into this file, as a page that looks like Coder's startup log.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Keep everything running until Ctrl-C, show kubectl commands to inspect it, and print new log lines as they
    /// arrive.
    #[arg(long)]
    pub(crate) keep: bool,

    /// Use the cluster of this kubeconfig's current context instead of starting one. The demo creates its own
    /// namespaces there and deletes them at the end; it needs cluster-admin rights. Only quota-exceeded and
    /// unschedulable are available: the other scenarios need the demo's own cluster.
    #[arg(long, value_name = "PATH")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Play this binary of the product instead of building one.
    #[arg(long, value_name = "PATH")]
    pub(crate) program: Option<PathBuf>,

    /// How long to wait for a scenario's lines, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) patience: Duration,
}

const EXIT_CODES: &str = "\
Exit codes: 0 when all lines arrived, 1 when lines are missing or something failed, 2 for a wrong argument, 130 after \
Ctrl-C.";

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: u64 = text.parse().map_err(|_| "a whole number of seconds is accepted, such as 30".to_owned())?;
    // Waiting for a day is a mistake, and longer ones meet the clock's limits.
    if seconds > 86_400 { Err("at most 86400 are accepted".to_owned()) } else { Ok(Duration::from_secs(seconds)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn parse(arguments: &[&str]) -> Result<Args, String> {
        Args::try_parse_from([&["cargo demo"], arguments].concat()).map_err(|error| error.to_string())
    }

    #[test]
    fn scenarios_are_named_as_the_help_lists_them() {
        let args = parse(&["--scenario", "oom-killed", "--scenario=normal-start"]).unwrap();
        assert_eq!(args.scenarios, [Choice::Story(Scenario::OomKilled), Choice::Story(Scenario::NormalStart)]);
        assert!(parse(&[]).unwrap().scenarios.is_empty());
    }

    #[test]
    fn an_unknown_scenario_is_answered_with_all_names() {
        let error = parse(&["--scenario", "oom"]).unwrap_err();
        for name in ["normal-start", "wrong-image", "quota-exceeded", "crash-loop", "oom-killed", "evicted"] {
            assert!(error.contains(name), "{error}");
        }
        assert!(error.contains("'oom'"), "{error}");
    }

    #[test]
    fn patience_is_a_number_of_seconds() {
        assert_eq!(parse(&["--patience=5"]).unwrap().patience, Duration::from_secs(5));
        assert!(parse(&["--patience=5s"]).unwrap_err().contains("whole number"));
        assert!(parse(&["--patience=100000"]).unwrap_err().contains("86400"));
    }
}
