//! The release binary.

use std::fs;

use anyhow::Result;

use super::Bench;
use crate::record::{Must, Record, Unit};

pub(crate) fn run(bench: &Bench, record: &mut Record) -> Result<()> {
    let bytes = fs::metadata(&bench.programs.product)?.len();
    record.conditions.runs = 1;
    record.add("release binary, stripped", Unit::Megabytes, Must::AtMost(12.0), bytes as f64 / 1e6);
    Ok(())
}
