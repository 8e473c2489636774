//! Plays a recording faster: pauses are shortened, the order stays the same.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use logstream_scenarios::Recording;

/// Maximum pause between two steps.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_millis(400);

/// Maximum duration of a whole recording.
const LONGEST: SignedDuration = SignedDuration::from_secs(12);

/// Time at which each step is played, relative to the object's creation.
#[derive(Debug)]
pub(super) struct Warp {
    /// Recorded times and the time since the beginning at which each is played, both increasing.
    points: Vec<(Timestamp, SignedDuration)>,
    began: Timestamp,
}

impl Warp {
    /// Creates the times of a recording that is played from `began` on.
    pub(super) fn new(recording: &Recording, began: Timestamp) -> Self {
        let mut points = vec![(recording.created(), SignedDuration::ZERO)];
        for step in &recording.steps {
            let (before, played) = points.last().copied().unwrap_or((step.at, SignedDuration::ZERO));
            let pause = step.at.duration_since(before).clamp(SignedDuration::ZERO, LONGEST_PAUSE);
            points.push((step.at.max(before), played + pause));
        }
        let total = points.last().map_or(SignedDuration::ZERO, |(_, played)| *played);
        if total > LONGEST {
            let factor = LONGEST.as_secs_f64() / total.as_secs_f64();
            for (_, played) in &mut points {
                *played = SignedDuration::from_secs_f64(played.as_secs_f64() * factor);
            }
        }
        Self { points, began }
    }

    /// Time since the beginning at which the step of this number is played.
    pub(super) fn after(&self, step: usize) -> Duration {
        self.points.get(step + 1).map_or(Duration::ZERO, |(_, played)| played.unsigned_abs())
    }

    /// The time to write in place of a recorded one: that of the last step before it.
    pub(super) fn time(&self, recorded: Timestamp) -> Timestamp {
        let next = self.points.partition_point(|(at, _)| *at <= recorded);
        let played = self.points[..next].last().map_or(SignedDuration::ZERO, |(_, played)| *played);
        self.began.saturating_add(played).unwrap_or(self.began)
    }
}

#[cfg(test)]
mod tests {
    use logstream_scenarios::Scenario;

    use super::*;

    #[test]
    fn pauses_are_cut_and_the_order_stays() {
        let began: Timestamp = "2026-11-27T10:00:00Z".parse().unwrap();
        for scenario in Scenario::all() {
            let recording = scenario.recording();
            let warp = Warp::new(&recording, began);
            let played: Vec<_> = (0..recording.steps.len()).map(|step| warp.after(step)).collect();
            assert!(played.is_sorted(), "{}", scenario.name());
            assert!(played.last().is_none_or(|last| last.as_secs() <= 12), "{}", scenario.name());
            assert!(warp.time(recording.created()) == began, "{}", scenario.name());
        }
    }
}
