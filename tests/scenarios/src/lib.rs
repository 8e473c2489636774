//! A scenario for each cause of the catalogue: Events and states as Kubernetes writes them, step by step.
//!
//! A [`Recording`] holds Events and states of a pod (or of the workload, if its pod is rejected) with their times. It
//! was captured from a real kubelet, or is made from the message that the catalogue's entry is based on. [`replay`]
//! passes it to the correlator alone, without a cluster; `cargo demo` writes it to a real API server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "test support: a broken recording must stop the test"
)]

mod captured;
mod message;
mod recording;
mod replay;

use logstream_core::causes::Cause;

pub use message::{made, shown};
pub use recording::{Change, Recording, Step, captured_names};
pub use replay::{Replayed, replay};

/// The scenario of a cause.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// The cause that it shows.
    pub cause: &'static Cause,
    captured: Option<&'static str>,
}

impl Scenario {
    /// Every scenario, in the order of the catalogue.
    pub fn all() -> impl Iterator<Item = Self> {
        Cause::all().map(Self::of)
    }

    /// The scenario of a cause.
    pub fn of(cause: &'static Cause) -> Self {
        Self { cause, captured: captured::of(cause.id) }
    }

    /// The scenario of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::all().find(|scenario| scenario.name() == name)
    }

    /// Its name: that of its cause.
    pub fn name(self) -> &'static str {
        self.cause.id
    }

    /// The name of the recording that was captured from a real kubelet, if there is one.
    pub fn captured(self) -> Option<&'static str> {
        self.captured
    }

    /// Events and states as Kubernetes writes them.
    pub fn recording(self) -> Recording {
        self.captured.map_or_else(|| made(self.cause), Recording::captured)
    }

    /// Returns true if the line, without colours, contains the cause's sentence.
    pub fn explains(self, line: &str) -> bool {
        let (reason, message) = shown(self.cause);
        if self.cause.why.is_empty() {
            return if message.is_empty() { line.contains(reason) } else { line.contains(beginning(message)) };
        }
        fragments(self.cause.why).try_fold(line, |rest, part| Some(rest.split_once(part)?.1)).is_some()
    }
}

/// Beginning of a message, long enough to identify it; names in the rest are replaced.
fn beginning(message: &str) -> &str {
    &message[..message.floor_char_boundary(24)]
}

/// The parts of a sentence between its placeholders.
fn fragments(sentence: &str) -> impl Iterator<Item = &str> {
    sentence.split('{').enumerate().map(|(index, part)| match part.split_once('}') {
        Some((_, after)) if index > 0 => after.trim(),
        _ => part.trim(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scenario_shows_its_cause_and_few_lines_of_it() {
        let mut wrong = Vec::new();
        for scenario in Scenario::all() {
            let lines = replay(&scenario.recording(), 3_600);
            let shown: Vec<_> = lines.iter().filter(|line| line.causes.contains(&scenario.cause)).collect();
            let worded = shown.iter().filter(|line| scenario.explains(&line.text)).count();
            if shown.is_empty() || shown.len() > 5 || worded == 0 {
                let log: Vec<_> = lines
                    .iter()
                    .map(|line| (&line.text, line.causes.iter().map(|c| c.id).collect::<Vec<_>>()))
                    .collect();
                wrong.push(format!("{}: {} lines, {worded} with its sentence: {log:#?}", scenario.name(), shown.len()));
            }
        }
        assert!(wrong.is_empty(), "{} scenarios\n{}", wrong.len(), wrong.join("\n"));
    }

    #[test]
    fn no_line_of_a_known_cause_is_unknown() {
        let unknown = |line: &Replayed| line.causes.iter().any(|cause| cause.id == "unknown");
        let mut wrong = Vec::new();
        for scenario in Scenario::all().filter(|scenario| scenario.name() != "unknown") {
            let lines = replay(&scenario.recording(), 600);
            wrong.extend(lines.into_iter().filter(unknown).map(|line| (scenario.name(), line.text)));
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn captured_recordings_exist() {
        let known = captured_names();
        for scenario in Scenario::all() {
            assert!(
                scenario.captured().is_none_or(|name| known.iter().any(|known| known == name)),
                "{}",
                scenario.name()
            );
        }
    }
}
