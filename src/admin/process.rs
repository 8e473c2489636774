//! Process metrics of the operating system, under the names that every Prometheus client uses.

use std::fmt;
use std::fs;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Clock ticks per second. Linux reports 100 to user space on every architecture.
const TICKS: f64 = 100.0;

/// Collector that reads the values at each scrape. Values that cannot be read, as on systems other than Linux, are
/// omitted.
#[derive(Debug)]
pub(crate) struct Process {
    started: Timestamp,
}

impl Process {
    pub(crate) fn started_at(started: Timestamp) -> Self {
        Self { started }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let started = ConstGauge::new(self.started.as_duration().as_secs_f64());
        write(&mut encoder, "process_start_time", "When the process started", &Unit::Seconds, &started)?;
        if let Some(seconds) = cpu_seconds() {
            let cpu = ConstCounter::new(seconds);
            write(&mut encoder, "process_cpu", "Time spent on a processor", &Unit::Seconds, &cpu)?;
        }
        if let Some(bytes) = resident_bytes() {
            let resident = ConstGauge::new(bytes);
            write(&mut encoder, "process_resident_memory", "Memory in RAM", &Unit::Bytes, &resident)?;
        }
        if let Some(count) = open_files() {
            let files = ConstGauge::new(count);
            let descriptor =
                encoder.encode_descriptor("process_open_fds", "Open file descriptors", None, files.metric_type())?;
            files.encode(descriptor)?;
        }
        Ok(())
    }
}

fn write(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: &Unit,
    metric: &impl EncodeMetric,
) -> Result<(), fmt::Error> {
    metric.encode(encoder.encode_descriptor(name, help, Some(unit), metric.metric_type())?)
}

/// User and system time.
fn cpu_seconds() -> Option<f64> {
    let line = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets, and may itself hold spaces and brackets.
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    let user: u32 = fields.nth(11)?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS)
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn open_files() -> Option<i64> {
    // One of them is the directory being read.
    let count = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    i64::try_from(count).ok()
}
