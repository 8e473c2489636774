//! Settings of delivery.

use std::time::Duration;

/// Settings of delivery. The program uses the default; tests and benchmarks change it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Maximum number of requests in flight. Go's HTTP/2 server allows 250 on one connection; more would queue in the
    /// client, regardless of priority.
    pub max_in_flight: usize,
    /// Maximum number of agents.
    pub max_agents: usize,
    /// Maximum number of agents known from admission only.
    pub max_expected: usize,
    /// Maximum number of lines held, over all agents.
    pub max_lines: usize,
    /// Time for which lines are held for an agent that is not valid, after the last of them. The agent of a
    /// `kubernetes_pod` workspace becomes valid once its pod runs, and a large image or a new node can take long.
    pub hold: Duration,
    /// The same for an agent that was never valid and whose objects are gone: its build may just be ending.
    pub hold_ended: Duration,
    /// Time for which an agent without objects and lines is kept for a last line.
    pub linger: Duration,
    /// Time for which an agent known from admission only is kept.
    pub hold_expected: Duration,
    /// Interval between two tries of an agent that is not valid. With its jitter and two round trips it is below the
    /// second within which the first line should arrive.
    pub probe_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_in_flight: 240,
            max_agents: 20_000,
            max_expected: 1_024,
            max_lines: 200_000,
            hold: Duration::from_hours(1),
            hold_ended: Duration::from_mins(5),
            linger: Duration::from_mins(1),
            hold_expected: Duration::from_mins(10),
            probe_every: Duration::from_millis(850),
        }
    }
}
