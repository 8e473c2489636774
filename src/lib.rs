//! The parts of the program `coder-logstream-kube`, for its binary, its tests and its benchmarks.

pub mod admin;
pub mod app;
pub mod checkpoint;
pub mod cli;
pub mod coder;
pub mod config;
pub mod correlate;
pub mod deliver;
pub mod doctor;
pub mod explain;
pub mod kubernetes;
pub mod leader;
pub mod ownership;
pub mod registry;
pub mod watch;

pub use logstream_runtime as runtime;
