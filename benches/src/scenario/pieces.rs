//! Microbenchmarks, measured by Criterion: `cargo bench --package logstream-benchmarks`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Bench;
use crate::programs;
use crate::record::{Must, Record, Unit};

/// The benches of `benches/pieces.rs`, by their names there.
const PIECES: [(&str, &str); 6] = [
    ("review", "review in to patch out"),
    ("line", "event in to line out"),
    ("event-1-kib", "event with a message of 1 KiB, all secrets, in to line out"),
    ("event-32-kib", "event with a message of 32 KiB, all secrets, in to line out"),
    ("event-1-mib", "event with a message of 1 MiB, all secrets, in to line out"),
    ("registration", "registration lookup among 1,000"),
];

pub(crate) fn run(_bench: &Bench, record: &mut Record) -> Result<()> {
    record.conditions.runs = 1;
    let target = programs::bench()?;
    for (name, what) in PIECES {
        let path: PathBuf = [target.as_path(), "criterion".as_ref(), name.as_ref()].iter().collect();
        let path = path.join("new/estimates.json");
        let text = fs::read_to_string(&path).with_context(|| format!("no estimate of {name}"))?;
        let nanoseconds = median(&text).with_context(|| format!("the estimate of {name} has no median"))?;
        record.add(&format!("{what}, median"), Unit::Micros, Must::Shown, nanoseconds / 1e3);
    }
    Ok(())
}

/// The median in nanoseconds.
fn median(estimates: &str) -> Option<f64> {
    serde_json::from_str::<Value>(estimates).ok()?["median"]["point_estimate"].as_f64()
}

#[cfg(test)]
mod tests {
    #[test]
    fn criterions_median_is_read() {
        let text = r#"{"mean":{"point_estimate":2.0},"median":{"point_estimate":1500.5}}"#;
        assert_eq!(super::median(text), Some(1500.5));
    }
}
