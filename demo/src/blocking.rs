//! Blocking work, off the runtime's async threads.

use anyhow::{Context, Result};

/// Runs blocking work on the blocking thread pool. If the demo is interrupted meanwhile, the thread is abandoned: the
/// reaper ends the processes it started.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context("the demo is broken")?
}
