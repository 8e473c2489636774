//! Progress of an installation of tools.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use super::Tool;
use super::estimate::Estimate;

/// A step of an installation.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Another process is installing; this one waits for it.
    Waiting,
    /// A tool is being downloaded. Reported at its start and for every few megabytes.
    Downloading {
        /// The tool.
        tool: Tool,
        /// Bytes received so far.
        received: u64,
        /// Total size in bytes, where the server announced it.
        size: Option<u64>,
    },
    /// A tool was downloaded and its checksum verified.
    Downloaded {
        /// The tool.
        tool: Tool,
        /// Origin of the checksum.
        checksum: &'static str,
    },
    /// Tools cannot be downloaded and will be built instead.
    NotDownloaded {
        /// The tools.
        tools: &'a [Tool],
        /// The reason.
        reason: &'a str,
    },
    /// A build begins.
    Begin {
        /// The tools to be built.
        tools: &'a [Tool],
        /// Its expected duration.
        estimate: &'a Estimate,
    },
    /// A tool is being built. Reported at its start and every second until it is done.
    Building {
        /// The tool.
        tool: Tool,
        /// Its position, from 1.
        number: usize,
        /// Number of tools.
        count: usize,
        /// Time since the build began.
        elapsed: Duration,
        /// Estimated time left, once the first tool is done.
        left: Option<Duration>,
        /// False for the first report of this tool.
        again: bool,
    },
    /// All tools are installed.
    Done {
        /// Total time.
        elapsed: Duration,
        /// Directory of the tools.
        cache: &'a Path,
    },
}

/// Returns a function that prints progress to stderr: one updated line on a terminal, otherwise one line per tool.
pub fn print() -> impl FnMut(&Progress<'_>) {
    let terminal = io::stderr().is_terminal();
    move |progress| {
        let mut out = io::stderr().lock();
        let _ = write_progress(&mut out, progress, terminal);
        let _ = out.flush();
    }
}

fn write_progress(out: &mut impl Write, progress: &Progress<'_>, terminal: bool) -> io::Result<()> {
    let clear = if terminal { "\r\x1b[K" } else { "" };
    match progress {
        Progress::Waiting => writeln!(out, "waiting for another process that is installing the test cluster's tools"),
        Progress::Downloading { tool, received, size } if terminal => {
            let size = size.map(|size| format!(" of {}", megabytes(size))).unwrap_or_default();
            write!(out, "{clear}  downloading {tool}: {}{size} MB", megabytes(*received))
        }
        Progress::Downloading { tool, received: 0, .. } => writeln!(out, "  downloading {tool}"),
        Progress::Downloaded { tool, checksum } => writeln!(out, "{clear}  downloaded {tool}, verified by {checksum}"),
        Progress::NotDownloaded { tools, reason } => {
            writeln!(out, "{clear}  not downloaded: {} ({reason})", names(tools))
        }
        Progress::Begin { tools, estimate } => {
            let (shortest, longest) = estimate.minutes();
            writeln!(
                out,
                "building {} from Go source, once; this takes {shortest} to {longest} minutes on {} cores, depending \
                 on the network and on other load",
                names(tools),
                estimate.cores(),
            )
        }
        Progress::Building { tool, number, count, elapsed, left, .. } if terminal => {
            let left = left.map(|left| format!(", about {} left", clock(left))).unwrap_or_default();
            write!(out, "{clear}  {} {number} of {count}  {tool}  {}{left}", bar(*number, *count), clock(*elapsed))
        }
        Progress::Downloading { .. } | Progress::Building { again: true, .. } => Ok(()),
        Progress::Building { tool, number, count, elapsed, left, .. } => {
            let left = left.map(|left| format!(", about {} left", clock(left))).unwrap_or_default();
            writeln!(out, "  {number} of {count}: building {tool} (after {}{left})", clock(*elapsed))
        }
        Progress::Done { elapsed, cache } => {
            writeln!(out, "{clear}  installed in {} after {}", cache.display(), clock(*elapsed))
        }
    }
}

fn names(tools: &[Tool]) -> String {
    tools.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ")
}

const fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}

fn bar(number: usize, count: usize) -> String {
    const WIDTH: usize = 24;
    let full = number.saturating_sub(1) * WIDTH / count.max(1);
    format!("[{}{}]", "#".repeat(full), "-".repeat(WIDTH - full))
}

fn clock(elapsed: Duration) -> String {
    format!("{}:{:02}", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
}
