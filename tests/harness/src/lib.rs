//! Fixtures for this project's tests and its demo: a real Kubernetes control plane with a simulated node, a stand-in
//! for Coder that follows Coder's rules, a proxy that breaks connections, and the product as a child process.
//!
//! Everything started here ends with the process that started it, however that process ends (see [`reaper`]).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "test support: a broken fixture must stop the test, and people read what it prints"
)]
#![allow(
    clippy::missing_panics_doc,
    reason = "test support: the panics are poisoned locks and broken invariants of the fixtures themselves"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "test support reads its few variables where it needs them, has the real clock, and owns its runtimes"
)]

pub mod access;
pub mod balancer;
pub mod blocking;
pub mod cert_manager;
pub mod cluster;
pub mod coder;
pub mod facts;
pub mod forward_proxy;
pub mod installation;
pub mod kwok_stages;
pub mod metrics;
pub mod name_server;
pub mod node;
pub mod pki;
pub mod poll;
pub mod ports;
pub mod process;
pub mod product;
pub mod prometheus;
pub mod proxy;
pub mod reaper;
pub mod release;
pub mod scenarios;
pub mod scratch;
pub mod tools;
pub mod webhook_config;
pub mod webhook_probe;
pub mod workspace;

pub use access::{Access, Scope};
pub use balancer::Balancer;
pub use cert_manager::CertManager;
pub use cluster::{Admin, AnotherApiServer, Cluster, ClusterOptions, Components, TestNamespace};
pub use coder::{CoderOptions, CoderStandIn};
pub use installation::{Installation, Plan};
pub use metrics::Metrics;
pub use name_server::{NameAnswer, NameServer};
pub use node::Node;
pub use product::Product;
pub use prometheus::{Prometheus, Scrape};
pub use proxy::FaultProxy;
pub use release::{Loopback, Release, Replica};
pub use scenarios::Scenario;
pub use tools::{Tool, Tools};
pub use webhook_config::{FailurePolicy, WebhookConfig};
pub use workspace::{Place, Workspace};
