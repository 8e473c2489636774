//! The parts of the program `coder-logstream-kube`, for its binary, its tests and its benchmarks.

pub mod admin;
pub mod config;
pub mod runtime;
