//! The numbers of delivery that a user, a test or a benchmark may want otherwise.

use std::time::Duration;

/// How delivery behaves. `Default` is what the program runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Requests under way at once, over all agents. Go's HTTP/2 server lets 250 run on one connection; beyond it they
    /// would queue in the client, where no lane puts first lines first.
    pub max_in_flight: usize,
    /// Agents known at once.
    pub max_agents: usize,
    /// Of these, claims that nobody has bound.
    pub max_claims: usize,
    /// Lines held at once, over all agents.
    pub max_lines: usize,
    /// How long lines are held for an agent that is not valid, after the last of them. A `kubernetes_pod` workspace
    /// becomes valid only once its pod runs, and a large image or a new node can take long.
    pub hold: Duration,
    /// The same for an agent that never was valid and whose objects are gone: its build may just be ending.
    pub hold_ended: Duration,
    /// How long an agent without objects and without lines is remembered, for a last line.
    pub linger: Duration,
    /// How long a claim that nobody binds is remembered.
    pub hold_claim: Duration,
    /// The wait between two tries of an agent that is not valid. With its spread and two round trips it is below the
    /// second within which the first line should follow.
    pub probe_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_in_flight: 240,
            max_agents: 20_000,
            max_claims: 1_024,
            max_lines: 200_000,
            hold: Duration::from_hours(1),
            hold_ended: Duration::from_mins(5),
            linger: Duration::from_mins(1),
            hold_claim: Duration::from_mins(10),
            probe_every: Duration::from_millis(850),
        }
    }
}
