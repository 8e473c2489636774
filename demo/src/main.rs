//! A demo on one machine: workspaces that start or fail in several ways, and the startup logs their owners see in
//! Coder. See `cargo demo --help`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "people read what it prints")]

mod annotations;
mod args;
mod blocking;
mod catalogue;
mod choice;
mod duration;
mod facts;
mod html;
mod install;
mod keep;
mod log;
mod matching;
mod namespaces;
mod page;
mod play;
mod product;
mod scenario;
mod show;
mod signals;
mod site;
mod steps;
mod style;
mod summary;
mod watch;
mod wording;
mod wrap;

use std::cell::Cell;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

use crate::args::Args;
use crate::style::Style;

/// The exit code that shells use for Ctrl-C.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        // A reader may close the pipe early.
        let _ = std::io::stdout().write_all(catalogue::list().as_bytes());
        return ExitCode::SUCCESS;
    }
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cargo demo: no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(demo(&args));
    // Blocking threads are not joined: the reaper ends the processes they started.
    runtime.shutdown_background();
    code
}

/// Runs the demo until it completes or this process receives a signal. In both cases everything it started is dropped
/// before this returns.
async fn demo(args: &Args) -> ExitCode {
    let style = Style::of_stdout();
    let verdict = Cell::new(None);
    let result = tokio::select! {
        result = show::run(args, style, &verdict) => result,
        _ = signals::shutdown() => {
            steps::clear(style);
            println!("shutting down");
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
