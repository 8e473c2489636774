//! Estimated duration of a build.

use std::thread;
use std::time::Duration;

use super::Tool;

/// Cores of the machines that were measured.
const MEASURED_CORES: u64 = 2;

/// Ratio of the slowest measured first run (22 minutes, with module downloads and other work on the machine) to the
/// fastest (5.5 minutes, idle, modules already downloaded).
const SLOWEST: u64 = 4;

/// Expected duration of building some tools on this machine.
#[derive(Debug, Clone)]
pub struct Estimate {
    cores: u64,
    total: u64,
}

impl Estimate {
    /// The estimate for `tools`, from measured builds and the number of cores.
    pub(super) fn of(tools: &[Tool]) -> Self {
        let cores = thread::available_parallelism().map_or(MEASURED_CORES, |cores| cores.get() as u64);
        Self { cores, total: seconds(tools) }
    }

    /// Shortest and longest expected duration in minutes, at least 1, assuming that time shrinks with more cores.
    pub fn minutes(&self) -> (u64, u64) {
        let fastest = self.total * MEASURED_CORES;
        let minutes = |seconds: u64| seconds.div_ceil(60 * self.cores).max(1);
        (minutes(fastest), minutes(fastest * SLOWEST))
    }

    /// Number of cores of this machine.
    pub const fn cores(&self) -> u64 {
        self.cores
    }

    /// Time left once `done` has been built in `elapsed`, extrapolated from the speed so far. None before the first
    /// tool is done, and beyond the estimate.
    pub(super) fn left(&self, done: &[Tool], elapsed: Duration) -> Option<Duration> {
        let done = seconds(done);
        let all = elapsed.as_secs().checked_mul(self.total)?.checked_div(done)?;
        all.checked_sub(elapsed.as_secs()).map(Duration::from_secs)
    }
}

fn seconds(tools: &[Tool]) -> u64 {
    tools.iter().map(|&tool| measured(tool)).sum()
}

/// Seconds that a tool took on two idle cores when built in the order of [`Tool::CLUSTER`], where later tools reuse
/// packages compiled for earlier ones.
const fn measured(tool: Tool) -> u64 {
    match tool {
        Tool::Kwok | Tool::ApiServer => 77,
        Tool::Etcd => 10,
        Tool::Kubectl => 18,
        Tool::Scheduler => 94,
        Tool::ControllerManager => 40,
        Tool::Helm => 15,
        Tool::CertManager => 60,
        Tool::Kubelet => 190,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_covers_the_measured_range_on_two_cores() {
        let estimate = Estimate { cores: 2, ..Estimate::of(&Tool::DEMO) };
        assert_eq!(estimate.minutes(), (6, 23));
        assert_eq!(Estimate { cores: 16, ..estimate }.minutes(), (1, 3));
    }

    #[test]
    fn the_time_left_follows_the_speed_so_far() {
        let estimate = Estimate::of(&Tool::DEMO);
        assert_eq!(estimate.left(&[], Duration::from_secs(30)), None);
        assert_eq!(estimate.left(&Tool::DEMO[..1], Duration::from_secs(77)), Some(Duration::from_secs(331 - 77)));
        assert_eq!(estimate.left(&Tool::DEMO[..1], Duration::from_secs(154)), Some(Duration::from_secs(2 * 331 - 154)));
    }
}
