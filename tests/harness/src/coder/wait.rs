//! Waiting for requests of clients.

use std::fmt;
use std::time::Duration;

use super::state::State;
use super::{Ansi, Line, line::shown};

/// The expected lines did not arrive in time.
#[derive(Debug)]
pub struct Timeout {
    /// Duration of the wait.
    pub waited: Duration,
    /// Lines that had arrived.
    pub lines: Vec<Line>,
}

impl fmt::Display for Timeout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "not the lines waited for within {:?}; there are {}:", self.waited, self.lines.len())?;
        self.lines.iter().try_for_each(|line| formatter.write_str(&shown(line, Ansi::Strip)))
    }
}

impl std::error::Error for Timeout {}

pub(super) async fn for_lines(
    state: &State,
    token: &str,
    deadline: Duration,
    predicate: impl Fn(&[Line]) -> bool,
) -> Result<Vec<Line>, Timeout> {
    let fits = || state.read(|inner| predicate(inner.agent(token).map(|agent| &agent.lines[..]).unwrap_or_default()));
    let came = until(state, deadline, fits).await;
    let lines = state.read(|inner| inner.lines(token));
    if came { Ok(lines) } else { Err(Timeout { waited: deadline, lines }) }
}

/// Checks after each change. Returns false after `deadline`.
pub(super) async fn until(state: &State, deadline: Duration, look: impl Fn() -> bool) -> bool {
    let mut changes = state.changes();
    let wait = async {
        loop {
            changes.borrow_and_update();
            if look() {
                return;
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    };
    tokio::time::timeout(deadline, wait).await.is_ok()
}
