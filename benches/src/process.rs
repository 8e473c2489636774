//! Memory and CPU time of a process, from /proc.

use std::fs;

use anyhow::{Context, Result};

const MEGABYTE: f64 = 1_000_000.0;

/// Memory in RAM, in megabytes (10⁶ bytes).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) peak: f64,
}

/// Current and peak memory of a process.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process has ended")?;
    let field = |name: &str| kilobytes(&status, name).with_context(|| format!("{name} of a process"));
    Ok(Memory { now: field("VmRSS:")? * 1_024.0 / MEGABYTE, peak: field("VmHWM:")? * 1_024.0 / MEGABYTE })
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Time on a processor so far, in seconds: of every thread to the nanosecond, where /proc/PID/stat has ticks of 10 ms.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("the process has ended")? {
        // The time of a thread that ends meanwhile is lost.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanoseconds += text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(nanoseconds as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_status_is_read() {
        let status = "Name:\tx\nVmHWM:\t   30000 kB\nVmRSS:\t   12000 kB\n";
        assert_eq!((kilobytes(status, "VmHWM:"), kilobytes(status, "VmSwap:")), (Some(30_000.0), None));
    }

    #[test]
    fn this_process_has_memory_and_has_used_the_processor() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.now > 0.1 && memory.peak >= memory.now);
        assert!(cpu_seconds(std::process::id()).unwrap() > 0.0);
    }
}
