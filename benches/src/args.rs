//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::programs::WORKSPACE;

/// Runs the benchmarks of docs/performance.md and writes their results and plots there.
///
/// Most results are ratios within one run against a baseline, a minimal program for the same task, because absolute
/// times differ between machines. This command builds and starts everything; nothing else should run on the machine.
#[derive(Debug, Clone, Parser)]
#[allow(clippy::struct_excessive_bools, reason = "flags are no states")]
#[command(name = "benchmarks", bin_name = "cargo benchmarks")]
pub(crate) struct Args {
    /// Run only these scenarios; the others keep their results.
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) only: Vec<String>,

    /// List the scenarios and exit.
    #[arg(long)]
    pub(crate) list: bool,

    /// Measure nothing; write the document from the existing results.
    #[arg(long)]
    pub(crate) report: bool,

    /// Number of runs of each scenario.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,

    /// Add the slow cases: 10,000 workspaces, all workspaces under Coder's limit, a token that becomes valid after ten
    /// minutes.
    #[arg(long)]
    pub(crate) full: bool,

    /// Workspaces of the largest burst and of the memory scenario.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) workspaces: usize,

    /// Workspaces of a burst under Coder's limit; with --full as many as without it.
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub(crate) limited_workspaces: usize,

    /// Agents that wait for their tokens to become valid.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) waiting: usize,

    /// Samples of each latency in a run.
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(crate) samples: usize,

    /// Directory of the results and plots [default: docs/performance of the checkout].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Leave docs unchanged; results and plots are written only with --out.
    #[arg(long)]
    pub(crate) no_write: bool,

    /// Measure this binary instead of building the product.
    #[arg(long, value_name = "PATH")]
    pub(crate) program: Option<PathBuf>,

    /// Take the baselines from this directory instead of building them.
    #[arg(long, value_name = "DIR")]
    pub(crate) baselines: Option<PathBuf>,
}

impl Args {
    /// Directory for results and plots, if they are to be written.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        let default = || (!self.no_write).then(|| PathBuf::from(WORKSPACE).join("docs/performance"));
        self.out.clone().or_else(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(arguments: &[&str]) -> Option<PathBuf> {
        Args::parse_from([&["benchmarks"], arguments].concat()).directory()
    }

    #[test]
    fn docs_are_written_by_default() {
        assert!(directory(&[]).is_some_and(|directory| directory.ends_with("docs/performance")));
        assert_eq!(directory(&["--no-write"]), None);
        assert_eq!(directory(&["--no-write", "--out", "x"]), Some(PathBuf::from("x")));
    }

    #[test]
    fn scenarios_may_be_given_by_spaces_or_commas() {
        let only = |arguments: &[&str]| Args::parse_from([&["benchmarks"], arguments].concat()).only;
        assert_eq!(only(&["--only", "a", "b"]), only(&["--only", "a,b"]));
    }
}
