//! The main job on one machine: what Kubernetes does with workspaces that start well and badly, and what their owners
//! read of it in Coder. `cargo demo --help` says how to call it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "people read what it prints")]

mod annotations;
mod args;
mod blocking;
mod choice;
mod duration;
mod facts;
mod install;
mod keep;
mod log;
mod matching;
mod namespaces;
mod page;
mod play;
mod product;
mod show;
mod signals;
mod site;
mod steps;
mod story;
mod style;
mod summary;
mod watch;
mod wording;
mod wrap;

use std::cell::Cell;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

use crate::args::Args;
use crate::style::Style;

/// As a shell has it for Ctrl-C.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cargo demo: no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(demo(&args));
    // Not waited for: what a thread has started, the reaper ends.
    runtime.shutdown_background();
    code
}

/// Plays until it is over or this process is asked to end. Either way all that was made is dropped before it answers.
async fn demo(args: &Args) -> ExitCode {
    let style = Style::of_stdout();
    let verdict = Cell::new(None);
    let result = tokio::select! {
        result = show::run(args, style, &verdict) => result,
        _ = signals::asked_to_end() => {
            steps::clear(style);
            println!("ending");
            return verdict.get().map_or(ExitCode::from(INTERRUPTED), code);
        }
    };
    match result {
        Ok(complete) => code(complete),
        Err(error) => {
            steps::clear(style);
            eprintln!("cargo demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn code(complete: bool) -> ExitCode {
    if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
