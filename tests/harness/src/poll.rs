//! Waiting for a condition, always with a deadline.

use std::fmt::Debug;
use std::future::Future;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Interval between checks.
const PAUSE: Duration = Duration::from_millis(50);

/// Polls `look` until it returns a value. Fails after `deadline`, naming `what`.
pub fn until<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = look() {
            return Ok(value);
        }
        if Instant::now() >= end {
            bail!("{what}: not within {deadline:?}");
        }
        thread::sleep(PAUSE);
    }
}

/// The async form of [`until`]. `look` returns `Ok(value)`, or `Err` with what it saw instead, which the failure shows.
pub async fn eventually<T, E, F>(what: &str, deadline: Duration, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T, E>>,
    E: Debug,
{
    let end = Instant::now() + deadline;
    loop {
        let seen = match look().await {
            Ok(value) => return Ok(value),
            Err(seen) => seen,
        };
        if Instant::now() >= end {
            bail!("{what}: not within {deadline:?}; last seen: {seen:?}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
