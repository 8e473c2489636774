//! Replays of recordings of a real kubelet: its statuses and Events in order, with their times.

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::{
    line::LogLine,
    render::{LogStyle, render},
};

#[derive(Deserialize)]
struct Recording {
    pod: Value,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    at: f64,
    status: Option<Value>,
    deletion_timestamp: Option<String>,
    event: Option<Value>,
}

impl Recording {
    fn of(text: &str) -> Self {
        serde_json::from_str(text).unwrap()
    }

    fn pod(&self, status: &Value, deleted: Option<&str>, revision: usize) -> Object {
        let containers = |key: &str| -> Vec<Value> {
            let mut containers = self.pod[key].as_array().cloned().unwrap_or_default();
            for container in &mut containers {
                container["env"] = json!([env(ALICE)]);
            }
            containers
        };
        let json = json!({
            "metadata": {"name": self.pod["name"], "namespace": self.pod["namespace"], "uid": self.pod["uid"],
                "creationTimestamp": self.pod["creationTimestamp"], "deletionTimestamp": deleted,
                "resourceVersion": (1_000 + revision).to_string()},
            "spec": {"containers": containers("containers"), "initContainers": containers("initContainers")},
            "status": status,
        });
        Object::Pod(Box::new(serde_json::from_value(json).unwrap()))
    }

    fn observations(&self) -> Vec<(Timestamp, Observation)> {
        let steps = self.steps.iter().enumerate().map(|(n, step)| {
            #[expect(clippy::cast_possible_truncation, reason = "a time of today")]
            let at = Timestamp::from_millisecond((step.at * 1_000.0) as i64).unwrap();
            let observation = if let Some(status) = &step.status {
                seen(self.pod(status, step.deletion_timestamp.as_deref(), n))
            } else {
                let event = serde_json::from_value(step.event.clone().unwrap()).unwrap();
                Observation::Event { scope: EVENTS, event: Box::new(event) }
            };
            (at, observation)
        });
        steps.collect()
    }

    /// Replays the recording with a tick each second, and for an hour after it. Returns the lines without colours.
    fn play(&self) -> Vec<String> {
        let mut scenario = Scenario::with(Limits::default(), Checkpoint::default());
        let steps = self.observations();
        scenario.now = steps[0].0;
        for (at, observation) in steps {
            while scenario.now + SignedDuration::from_secs(1) < at {
                scenario.tick(1);
            }
            scenario.now = scenario.now.max(at);
            scenario.observe(observation);
        }
        for _ in 0..3_600 {
            scenario.tick(1);
        }
        assert!(scenario.nothing_is_held());
        let lines = scenario.findings().into_iter().map(|finding| {
            let LogLine { text, .. } = render(finding, LogStyle::Fancy, |_| false);
            ["\u{1b}[1m", "\u{1b}[37m", "\u{1b}[0m"].iter().fold(text, |text, code| text.replace(code, ""))
        });
        lines.collect()
    }
}

macro_rules! recording {
    ($name:literal) => {
        Recording::of(include_str!(concat!("../../../tests/fixtures/", $name, ".json")))
    };
}

/// Returns the lines that contain a text.
fn with<'a>(lines: &'a [String], text: &str) -> Vec<&'a String> {
    lines.iter().filter(|line| line.contains(text)).collect()
}

/// Asserts that the first line with a text is not a repeat, and that the last one has this count.
#[track_caller]
fn assert_counted(lines: &[String], text: &str, times: u32) {
    let reported = with(lines, text);
    assert!(reported.len() > 1 && reported.len() <= 5 && !reported[0].contains("(x"), "{lines:#?}");
    assert!(reported.last().unwrap().contains(&format!("(x{times} over")), "{lines:#?}");
}

#[test]
fn ends_of_a_container_are_counted_exactly() {
    for (recording, text, times) in [
        (recording!("oom-main"), "Container dev was killed: out of memory", 5),
        (recording!("oom-init"), "Init container prepare was killed: out of memory", 5),
        (recording!("exit-1"), "Container dev ended with exit code 1", 5),
        (recording!("liveness-exec"), "Container dev ended with exit code 137", 6),
        (recording!("liveness-http"), "Container dev ended with exit code 137", 6),
    ] {
        assert_counted(&recording.play(), text, times);
    }
}

#[test]
fn each_restart_of_the_program_counts_an_end_once_too() {
    for text in
        [include_str!("../../../tests/fixtures/oom-main.json"), include_str!("../../../tests/fixtures/exit-1.json")]
    {
        let recording = Recording::of(text);
        let mut scenario = Scenario::new();
        for (at, observation) in recording.observations() {
            scenario.now = at;
            // Each status is seen again, as after a broken watch.
            let again = observation.clone();
            scenario.observe(observation);
            if let Observation::Seen { scope, object, .. } = again {
                scenario.observe(Observation::Seen { scope, object, how: Arrival::ListedChanged });
            }
        }
        scenario.tick(3_600);
        let counts =
            scenario.findings().into_iter().filter(|finding| matches!(finding.kind, FindingKind::Terminated { .. }));
        assert_eq!(counts.filter_map(|finding| finding.repeat).map(|repeat| repeat.times).max(), Some(5));
    }
}

#[test]
fn a_crash_loop_is_one_line_for_the_end_and_one_for_the_loop() {
    let lines = recording!("exit-1").play();
    assert_eq!(with(&lines, "CrashLoopBackOff").len(), 1, "{lines:#?}");
    assert_eq!(with(&lines, "Back-off restarting"), [] as [&String; 0], "{lines:#?}");
    for step in ["Container image", "Container created"] {
        assert_eq!(with(&lines, step).len(), 1, "{lines:#?}");
    }
}

#[test]
fn an_image_that_is_missing_is_one_cause() {
    let lines = recording!("image-not-found").play();
    assert_counted(
        &lines,
        "Failed to pull image \"registry.example.com/team/missing:1.0\": rpc error: code = NotFound",
        4,
    );
    for other in ["Error: ErrImagePull", "Error: ImagePullBackOff", "Back-off pulling", "cannot be pulled"] {
        assert_eq!(with(&lines, other), [] as [&String; 0], "{lines:#?}");
    }
    assert_eq!(with(&lines, "Pulling image").len(), 1, "{lines:#?}");
}

#[test]
fn the_reason_of_a_removal_comes_before_the_deletion() {
    for (recording, why) in [
        (recording!("drained"), "Eviction API: evicting (EvictionByEvictionAPI)"),
        (recording!("taint-evicted"), "deleting due to NoExecute taint (DeletionByTaintManager)"),
        (recording!("preempted"), "higher priority pod (PreemptionByScheduler)"),
        (recording!("evicted-memory"), "The node was low on resource: memory"),
    ] {
        let lines = recording.play();
        assert_eq!(with(&lines, why).len(), 1, "{lines:#?}");
        for other in ["Marking for deletion", "Preempted by pod"] {
            assert_eq!(with(&lines, other), [] as [&String; 0], "{lines:#?}");
        }
    }
}

#[test]
fn a_containers_termination_message_is_reported() {
    let lines = recording!("termination-message").play();
    let reported =
        with(&lines, "Container dev ended with exit code 5 (Error): agent: cannot reach https://coder.example.com");
    assert!(!reported.is_empty(), "{lines:#?}");
}

/// All lines of the first two minutes of each failure, and of the hour after it.
#[test]
fn a_failure_that_goes_on_is_few_lines() {
    for (recording, most) in [
        (recording!("image-not-found"), 8),
        (recording!("exit-1"), 12),
        (recording!("oom-init"), 12),
        (recording!("liveness-http"), 18),
    ] {
        let lines = recording.play();
        assert!(lines.len() <= most, "{} lines: {lines:#?}", lines.len());
    }
}

/// Returns each cause reported to an agent, and the highest count.
fn counts(scenario: &Scenario) -> BTreeMap<u64, u32> {
    let mut counts = BTreeMap::new();
    for (kind, repeat) in scenario.findings_for(ALICE) {
        let reported = counts.entry(super::super::fact::cause(&kind).key).or_default();
        *reported = repeat.map_or(1, |repeat| repeat.times).max(*reported);
    }
    counts
}

proptest! {
    /// Invariant 6, on recordings of a kubelet.
    #[test]
    fn invariant_6_any_interleaving_of_a_recording_gives_the_same_lines(
        which in 0_usize..4,
        picks in proptest::collection::vec(any::<bool>(), 120),
    ) {
        let recording = match which {
            0 => recording!("image-not-found"),
            1 => recording!("exit-1"),
            2 => recording!("liveness-exec"),
            _ => recording!("taint-evicted"),
        };
        let steps = recording.observations();
        let (pods, events): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(|(_, observation)| matches!(observation, Observation::Seen { .. }));
        let mut expected = Scenario::new();
        for (_, observation) in pods.iter().chain(&events) {
            expected.observe(observation.clone());
        }
        let mut scenario = Scenario::new();
        let (mut pods, mut events) = (pods.into_iter(), events.into_iter());
        for pick in picks {
            let next = if pick { pods.next() } else { events.next() };
            if let Some((_, observation)) = next {
                scenario.observe(observation);
            }
        }
        for (_, observation) in pods.chain(events) {
            scenario.observe(observation);
        }
        // A held fact is reported within hours; how often in between depends on the order.
        for _ in 0..24 {
            expected.tick(7_200);
            scenario.tick(7_200);
        }
        prop_assert_eq!(counts(&scenario), counts(&expected));
        prop_assert!(scenario.nothing_is_held());
    }
}
