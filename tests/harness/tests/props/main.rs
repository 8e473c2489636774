//! The props work as their docs say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test panics")]

mod cluster;
mod coder;
mod product;
mod proxy;
mod reaper;
mod scenarios;
mod tools;

/// An example of this crate: cargo builds them along with the tests, beside the folder of the tests.
fn example(name: &str) -> std::path::PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().join("../examples").join(name)
}
