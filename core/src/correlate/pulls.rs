//! Image pulls that take long without an error.

use jiff::{SignedDuration, Timestamp};

use super::{Correlator, Effect, report::Report};
use crate::{
    finding::{ContainerKind, FindingKind},
    identity::Uid,
    object::{Event, Pod},
};

/// Durations after which a running pull is reported, and reported again.
const PATIENCE: [SignedDuration; 4] = [
    SignedDuration::from_mins(2),
    SignedDuration::from_mins(10),
    SignedDuration::from_mins(30),
    SignedDuration::from_hours(2),
];

/// Maximum number of pulls followed for each pod. A pod does a few at a time.
const LIMIT: usize = 32;

/// A pull that has begun.
#[derive(Debug)]
struct Pull {
    container: String,
    which: ContainerKind,
    image: String,
    /// Start time, by this program's clock, with which it is compared.
    since: Timestamp,
    reported: usize,
}

impl Pull {
    fn due(&self) -> Option<Timestamp> {
        self.since.saturating_add(*PATIENCE.get(self.reported)?).ok()
    }
}

/// Pulls of a pod that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Pulls(Vec<Pull>);

impl Pulls {
    /// Records an Event about the container of this name. Returns true if it changed something.
    pub(super) fn note(&mut self, (container, which): (&str, ContainerKind), event: &Event, now: Timestamp) -> bool {
        let before = self.0.len();
        match event.reason.as_str() {
            "Pulling" => {
                let image = event.message.split('"').nth(1).unwrap_or_default().to_owned();
                let known = self.0.iter().any(|pull| pull.container == container && pull.image == image);
                if !known && self.0.len() < LIMIT {
                    self.0.push(Pull { container: container.to_owned(), which, image, since: now, reported: 0 });
                }
            }
            "Pulled" | "Failed" | "BackOff" | "Created" | "Started" | "Killing" => {
                self.0.retain(|pull| pull.container != container);
            }
            _ => {}
        }
        self.0.len() != before
    }

    /// Forgets the pulls of containers that are past this step. Returns true if there were some.
    fn settle(&mut self, pod: &Pod) -> bool {
        let before = self.0.len();
        let status = &pod.status;
        let mut beyond: Vec<&str> = Vec::new();
        for container in status.init_container_statuses.iter().chain(&status.container_statuses) {
            let state = &container.state;
            let waits = |reason: &str| !matches!(reason, "ContainerCreating" | "PodInitializing" | "");
            let failed = state.waiting.as_ref().is_some_and(|waiting| waits(&waiting.reason));
            if state.running.is_some() || state.terminated.is_some() || failed {
                beyond.push(&container.name);
            }
        }
        let over = pod.metadata.deletion_timestamp.is_some() || matches!(status.phase.as_str(), "Failed" | "Succeeded");
        self.0.retain(|pull| !over && !beyond.contains(&pull.container.as_str()));
        self.0.len() != before
    }

    /// Returns the time at which the next one is due.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.0.iter().filter_map(Pull::due).min()
    }

    fn take_due(&mut self, now: Timestamp) -> Option<FindingKind> {
        let pull = self.0.iter_mut().find(|pull| pull.due().is_some_and(|due| due <= now))?;
        pull.reported += 1;
        let elapsed = now.duration_since(pull.since);
        let (container, image) = (pull.container.clone(), pull.image.clone());
        Some(FindingKind::SlowPull { container, which: pull.which, image, elapsed })
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Correlator {
    /// Forgets the pulls that a pod's status shows as over.
    pub(super) fn settle_pulls(&mut self, uid: Uid, pod: &Pod) {
        if self.tracked.get_mut(&uid).is_some_and(|tracked| tracked.pulls.settle(pod)) {
            self.schedule(uid);
        }
    }

    /// Reports the pulls of an object that take long.
    pub(super) fn report_slow_pulls(&mut self, now: Timestamp, uid: Uid, effects: &mut Vec<Effect>) {
        while let Some(kind) = self.tracked.get_mut(&uid).and_then(|tracked| tracked.pulls.take_due(now)) {
            self.report(uid, Report::new(kind, now, None), None, effects);
        }
    }
}
