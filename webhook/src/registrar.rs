//! What admission is given from outside: a place for what it learns, and the time.

use std::sync::Arc;

use jiff::Timestamp;
use logstream_core::registration::Registration;

/// Takes what admission learns.
pub trait Registrar: Send + Sync + 'static {
    /// Takes a claim. It is called while the API server waits for its answer, so it must not block: no I/O, no lock
    /// that is held for long. The same claim may come again (retries of a controller, reinvocation), and a claim may
    /// be forged: an implementation bounds what it keeps and believes nothing before the object itself has shown it.
    fn register(&self, registration: Registration);
}

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
