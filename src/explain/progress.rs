//! Progress on standard error while the cluster is read. Nothing is shown if that is not a terminal.

use std::io::{self, IsTerminal, Write};

const FRAMES: [&str; 4] = ["◐", "◓", "◑", "◒"];

/// A line that is redrawn, and erased at the end.
#[derive(Debug)]
pub(super) struct Progress {
    what: String,
    on_terminal: bool,
    drawn: usize,
}

impl Progress {
    pub(super) fn new(what: String) -> Self {
        Self { what, on_terminal: io::stderr().is_terminal(), drawn: 0 }
    }

    /// Shows the number of objects read so far.
    pub(super) fn show(&mut self, objects: usize) {
        if self.on_terminal {
            let frame = FRAMES[self.drawn % FRAMES.len()];
            self.drawn += 1;
            // Not worth an error: it is decoration.
            let _ = write!(io::stderr(), "\r\u{1b}[K{frame} {}: {objects} objects", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn > 0 {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}
