//! Runtime building blocks of all parts: clock, backoff, servers, tasks, signals, health, logging and metrics. Nothing
//! here depends on Kubernetes or Coder.

pub mod backoff;
pub mod clock;
mod error;
pub mod heartbeat;
pub mod listen;
pub mod liveness;
mod log_once;
pub mod logging;
pub mod metrics;
pub mod panics;
pub mod readiness;
pub mod server;
pub mod shutdown;
pub mod tasks;

pub use backoff::Backoff;
pub use clock::{Clock, SystemClock};
pub use error::{innermost, with_sources};
pub use heartbeat::Heartbeat;
pub use liveness::Liveness;
pub use log_once::LogOnce;
pub use readiness::{Check, Readiness};
pub use shutdown::Signals;
pub use tasks::{Supervisor, TaskFailed};
