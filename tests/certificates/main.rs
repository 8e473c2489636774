//! No admission fails while certificates change: the real binary, a real API server with `failurePolicy: Fail`, and
//! pods created continuously, each with its own TLS handshake.
//!
//! All tests of a run except the one of client certificates share a control plane; each test has its own namespace and
//! webhook configuration.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of a test may end it")]
#![allow(clippy::print_stdout, reason = "people read how many pods were created")]

mod cert_manager;
mod client_certificates;
mod context;
mod cut_off;
mod mounted;
mod mounted_swaps;
mod repairs;
mod replicas;
mod rotations;
mod stream;
mod upgrade;
