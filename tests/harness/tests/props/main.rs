//! The props work as their docs say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test panics")]

/// The path of an example of this crate: cargo builds them along with the tests, beside the folder of the tests.
///
/// Its source is named too, so that without it nothing compiles: what an earlier build left in that folder would
/// otherwise be run in its place.
macro_rules! example {
    ($name:literal) => {{
        const _: &str = include_str!(concat!("../../examples/", $name, ".rs"));
        let tests = std::env::current_exe().unwrap();
        tests.parent().unwrap().join("../examples").join($name)
    }};
}

mod cluster;
mod coder;
mod product;
mod proxy;
mod reaper;
mod scenarios;
mod tools;
