//! Telling people what a build does, and how far it is.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use super::{FIRST_BUILD, Tool};

/// A moment of a build.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Another process is building; this one waits for it.
    Waiting,
    /// A build begins.
    Begin {
        /// How many tools are to be built.
        count: usize,
        /// Where they are kept.
        cache: &'a Path,
    },
    /// A tool is being built. Told at its start, and every second or so until it is there.
    Building {
        /// Which.
        tool: Tool,
        /// The how-manyth, from 1.
        number: usize,
        /// Of how many.
        count: usize,
        /// Since the build began.
        elapsed: Duration,
        /// Since it was last told of another tool: false at its start.
        again: bool,
    },
    /// All is there.
    Done {
        /// How long it took.
        elapsed: Duration,
    },
}

/// Prints progress to stderr: one line that fills up on a terminal, otherwise one line per tool.
pub fn print() -> impl FnMut(&Progress<'_>) {
    let terminal = io::stderr().is_terminal();
    move |progress| {
        let mut out = io::stderr().lock();
        let _ = match progress {
            Progress::Waiting => writeln!(out, "waiting for another process that is building the test cluster's tools"),
            Progress::Begin { count, cache } => writeln!(
                out,
                "building {count} tools of the test cluster from source, once: the first time takes about {} minutes \
                 on two cores\nthey are kept in {}",
                FIRST_BUILD.as_secs() / 60,
                cache.display()
            ),
            Progress::Building { tool, number, count, elapsed, .. } if terminal => {
                write!(out, "\r\x1b[K  {} {number} of {count}  {tool}  {}", bar(*number, *count), clock(*elapsed))
            }
            Progress::Building { again: true, .. } => Ok(()),
            Progress::Building { tool, number, count, elapsed, .. } => {
                writeln!(out, "  {number} of {count}: {tool} (after {})", clock(*elapsed))
            }
            Progress::Done { elapsed } => {
                let clear = if terminal { "\r\x1b[K" } else { "" };
                writeln!(out, "{clear}  done in {}", clock(*elapsed))
            }
        };
        let _ = out.flush();
    }
}

fn bar(number: usize, count: usize) -> String {
    const WIDTH: usize = 24;
    let full = number.saturating_sub(1) * WIDTH / count.max(1);
    format!("[{}{}]", "#".repeat(full), "-".repeat(WIDTH - full))
}

fn clock(elapsed: Duration) -> String {
    format!("{}:{:02}", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
}
