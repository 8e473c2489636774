//! The chart, installed by the real helm on a real API server, and the binary run as its Deployment says.
//!
//! Each release is held to what it may do: the API server's audit log shows each permission used, and none missing.
#![allow(clippy::expect_used, reason = "a helper of a test may end it")]
#![allow(clippy::print_stdout, reason = "`--nocapture` shows which permissions were used, and how often")]

mod callers;
mod context;
mod exercise;
mod issuers;
mod leftovers;
mod modes;
mod neighbours;
mod notes;
mod openshift;
mod ownership;
mod predecessor;
mod scopes;
mod selection;
mod upgrades;
mod watcher;
