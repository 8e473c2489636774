//! Certificates from files to handshakes, from outside.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of a test may end it")]

mod bundle;
mod common;
mod handshake;
mod provided;
