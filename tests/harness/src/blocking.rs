//! Running async code from blocking code.

use std::future::Future;
use std::thread;

use tokio::runtime;

/// Runs a future to completion on its own thread and runtime. Works from a plain thread and from within a runtime,
/// where it blocks the calling worker: use `spawn_blocking` for long operations.
pub fn run<F>(future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    thread::scope(|scope| {
        scope
            .spawn(|| {
                runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts").block_on(future)
            })
            .join()
            .expect("the future does not panic")
    })
}
