//! No admission fails, whatever becomes of the certificate: the real binary, a real API server with `failurePolicy:
//! Fail`, and pods created without pause, each by a TLS handshake of its own.
//!
//! One control plane serves all tests of a run but the one of client certificates; each test has a namespace and a
//! webhook configuration of its own.
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
