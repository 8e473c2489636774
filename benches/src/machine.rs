//! Conditions of a measurement: hardware and versions.

use std::fs;
use std::thread;

use serde::{Deserialize, Serialize};

/// Conditions of a measurement. Contains no machine names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Conditions {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gb: u64,
    pub(crate) kernel: String,
    pub(crate) kubernetes: String,
    pub(crate) product: String,
    pub(crate) runs: u32,
}

impl Conditions {
    pub(crate) fn of_machine(runs: u32) -> Self {
        Self {
            cpu: cpu(&read("/proc/cpuinfo")),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_gb: memory(&read("/proc/meminfo")),
            kernel: kernel(&read("/proc/sys/kernel/osrelease")),
            kubernetes: String::new(),
            product: env!("CARGO_PKG_VERSION").to_owned(),
            runs,
        }
    }

    /// The conditions as one sentence.
    pub(crate) fn text(&self) -> String {
        let Self { cpu, cores, memory_gb, kernel, kubernetes, product, runs } = self;
        let kubernetes = if kubernetes.is_empty() { String::new() } else { format!(", Kubernetes {kubernetes}") };
        let times = if *runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
        format!(
            "{cores} cores of {cpu}, {memory_gb} GB, Linux {kernel}{kubernetes}, coder-logstream-kube {product}, {times}"
        )
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn cpu(info: &str) -> String {
    let model = info.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == "model name");
    model.map_or("an unknown processor", |(_, model)| model.trim()).to_owned()
}

fn memory(info: &str) -> u64 {
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes: u64 = total.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or_default();
    kilobytes.div_ceil(1 << 20)
}

/// The version number alone: suffixes of distributions and clouds may reveal where it runs.
fn kernel(release: &str) -> String {
    release.chars().take_while(|character| character.is_ascii_digit() || *character == '.').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        assert_eq!(cpu("processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: AMD EPYC\n"), "AMD EPYC");
        assert_eq!(memory("MemTotal:       24683724 kB\nMemFree: 1 kB\n"), 24);
        assert_eq!(kernel("6.18.44-fc-v657\n"), "6.18.44");
    }
}
