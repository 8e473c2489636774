//! The chart, installed by the real helm on a real API server, with the binary in place of its Deployment's container.
//!
//! The API server's audit log verifies that a release uses each of its permissions and lacks none.
#![allow(clippy::expect_used, reason = "a helper of a test may end it")]
#![allow(clippy::print_stdout, reason = "`--nocapture` shows which permissions were used, and how often")]

mod callers;
mod context;
mod dashboard_run;
mod doctor;
mod exercise;
mod issuers;
mod leftovers;
mod modes;
mod monitoring;
mod neighbours;
mod notes;
mod openshift;
mod ownership;
mod packaged;
mod predecessor;
mod rollbacks;
mod scopes;
mod selection;
mod upgrades;
mod watcher;
