//! What keeps the process running and lets it end in order; it knows nothing of pods or Coder.

pub mod backoff;
pub mod clock;
pub mod heartbeat;
pub mod liveness;
pub mod logging;
pub mod panics;
pub mod readiness;
pub mod shutdown;
pub mod tasks;

pub use backoff::Backoff;
pub use clock::{Clock, SystemClock, TokioClock};
pub use heartbeat::Heartbeat;
pub use liveness::Liveness;
pub use logstream_runtime::listen;
pub use readiness::{Check, Readiness};
pub use shutdown::Signals;
pub use tasks::{Supervisor, TaskFailed};
