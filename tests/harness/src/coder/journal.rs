//! What came and when, for measuring.

use std::time::{Instant, SystemTime};

use super::Endpoint;

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct JournalEntry {
    /// Where to.
    pub endpoint: Endpoint,
    /// Whose.
    pub token: String,
    /// When its head had been read, before any latency.
    pub received: Instant,
    /// When it took effect, on the clock that the rate limit goes by.
    pub at: SystemTime,
    /// When its answer was given, after the latency.
    pub answered: Instant,
    /// The answer.
    pub status: u16,
    /// The number that its lines have (see [`super::Line::batch`]), where it brought some.
    pub batch: Option<u64>,
}
