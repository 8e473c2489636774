//! From blocking code into async code, from wherever it is called.

use std::future::Future;
use std::thread;

use tokio::runtime;

/// Runs a future to its end on a thread and a runtime of its own, so that it may be called from a plain thread and
/// from within a runtime alike (where it blocks the calling worker: use `spawn_blocking` for what takes long).
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
