//! The webhook from outside: as a router, under arbitrary input, and over TLS.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of a test may end it")]

mod common;
mod policy;
mod properties;
mod router;
mod tls;
