//! The real binary with a real API server and a Coder that follows Coder's rules.
//!
//! One control plane serves all tests of a run; each test has namespaces of its own.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of a test may end it")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "metrics are small whole numbers that come as floats"
)]

mod admission;
mod agents;
mod api_servers;
mod away;
mod blocked;
mod bounds;
mod chaos;
mod clocks;
mod command_line;
mod dependencies;
mod events;
mod explain;
mod facts;
mod faults;
mod filters;
mod health;
mod identity;
mod isolated_cluster;
mod limits;
mod metrics;
mod names;
mod network;
mod no_ipv6;
mod presence;
mod refusals;
mod replicas;
mod restarts;
mod review;
mod scenarios;
mod selection;
mod support;
mod tokens;
