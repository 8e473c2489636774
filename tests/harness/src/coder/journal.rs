//! Journal of requests, for measurements.

use std::time::{Instant, SystemTime};

use super::Endpoint;

/// An answered request.
#[derive(Debug, Clone)]
pub struct JournalEntry {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The agent's token.
    pub token: String,
    /// Time at which its head was read, before any latency.
    pub received: Instant,
    /// Time at which it took effect, by the clock of the rate limit.
    pub at: SystemTime,
    /// Time at which it was answered, after the latency.
    pub answered: Instant,
    /// The status of the response.
    pub status: u16,
    /// The batch number of its lines, if it had any (see [`super::Line::batch`]).
    pub batch: Option<u64>,
}
