//! The parts of the program `coder-logstream-kube`, for its binary, its tests and its benchmarks.

pub mod admin;
pub mod coder;
pub mod config;
pub mod deliver;
pub mod runtime;
pub mod watch;
