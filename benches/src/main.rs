//! Benchmarks: what the program costs and how fast it is, against baselines built for the purpose. See
//! `cargo benchmarks --help`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "people read what it prints")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "measurements: counts are far below 2⁵², and quantiles are ranks"
)]
#![allow(clippy::float_cmp, reason = "tests compare with values that have an exact form")]
#![allow(clippy::similar_names, reason = "site, side and size")]
#![allow(
    clippy::disallowed_methods,
    reason = "the environment is passed on to cargo, and measurements use the real clock"
)]

mod args;
mod arrivals;
mod baseline;
mod burst;
mod limit;
mod load;
mod machine;
mod objects;
mod process;
mod programs;
mod record;
mod report;
mod reviews;
mod scenario;
mod site;
mod stats;
mod wait;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use tokio::runtime::Runtime;

use crate::args::Args;
use crate::machine::Conditions;
use crate::programs::Programs;
use crate::record::Record;
use crate::scenario::{Bench, Scenario};

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        for scenario in Scenario::ALL {
            println!("{:<10} {}", scenario.name(), scenario.about());
        }
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo benchmarks: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let chosen = chosen(&args.only)?;
    if !args.report {
        let bench = Bench { programs: Programs::build(args)?, args: args.clone() };
        let runtime = Runtime::new()?;
        for scenario in chosen {
            let conditions = Conditions::of_machine(args.runs);
            println!("{}: {}\n  {}", scenario.name(), scenario.about(), conditions.text());
            let mut record = Record::new(scenario.name(), conditions);
            runtime.block_on(scenario.run(&bench, &mut record))?;
            println!("{}", report::table(&[&record]));
            if let Some(directory) = args.directory() {
                record.save(&directory)?;
            }
        }
        // Blocking threads are not joined: the reaper ends the processes they started.
        runtime.shutdown_background();
    }
    report::write(args)
}

fn chosen(names: &[String]) -> Result<Vec<Scenario>> {
    if names.is_empty() {
        return Ok(Scenario::ALL.to_vec());
    }
    let find = |name: &String| Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
    let known = Scenario::ALL.map(Scenario::name).join(", ");
    names.iter().map(|name| find(name).map_or_else(|| bail!("--only {name}: not one of {known}"), Ok)).collect()
}
