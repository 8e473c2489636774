//! Work that waits for processes and files, away from the runtime's own threads.

use anyhow::{Context, Result};

/// Runs it on a thread for such work. When the demo is asked to end meanwhile, it is left alone: what it started is
/// ended by the reaper.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context("the demo is broken")?
}
