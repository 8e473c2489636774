//! Tests of the public API, from certificate files to handshakes.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of a test may end it")]

mod bundle;
mod common;
mod handshake;
mod provided;
