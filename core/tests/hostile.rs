//! The worst objects that an outsider can write take little memory: while they are decoded, afterwards, and
//! until their line is written.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use logstream_core::{
    correlate::{Arrival, Correlator, Effect, Limits, NoRegistrations, Object, Observation},
    extract,
    fact_id::ScopeId,
    line::MAX_CHARS,
    object::{Event, Pod, Workload},
    render::{LogStyle, render},
};
use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Lock that runs one test at a time, because the measured memory is that of the whole process.
static TURN: Mutex<()> = Mutex::new(());

const TOKEN: &str = "22222222-2222-4333-8444-555555555555";
const MIB: usize = 1024 * 1024;
/// Maximum memory of an Event while it is decoded, and afterwards, in bytes.
const EVENT: usize = 16 * 1024;
/// Maximum memory of a pod while it is decoded, in bytes. The JSON of each pod here has 1 MiB.
const POD: usize = 2 * MIB;

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the result of a function, its peak memory, and the memory that the result keeps, in bytes.
fn measured<T>(run: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = run();
    let peak = ALLOCATOR.peak_usage();
    (result, peak.saturating_sub(before), ALLOCATOR.current_usage().saturating_sub(before))
}

fn decode<T: DeserializeOwned>(json: &str) -> (T, usize, usize) {
    measured(|| serde_json::from_str(json).unwrap())
}

/// Returns the JSON of an Event with this text in each field that may hold any text.
fn event(text: &str) -> String {
    let map: serde_json::Map<_, _> = (0..4).map(|n| (format!("com.coder.{n}"), text.into())).collect();
    json!({
        "metadata": {
            "name": text, "namespace": text, "uid": text, "resourceVersion": text, "labels": map, "annotations": map,
            "generateName": text, "managedFields": [{"manager": text}],
        },
        "involvedObject": {"kind": text, "namespace": text, "name": text, "uid": text, "fieldPath": text},
        "reason": text, "message": text, "type": text, "action": text, "source": {"component": text},
    })
    .to_string()
}

/// Returns 1 MiB of JSON that repeats an element in a list.
fn many(before: &str, element: &str, after: &str) -> String {
    let number = MIB / (element.len() + 1);
    format!("{before}{}{after}", vec![element; number].join(","))
}

#[test]
fn an_event_takes_the_memory_of_its_limits() {
    let _turn = turn();
    for text in ["a".repeat(MIB), "token=a ".repeat(MIB / 8), "€".repeat(MIB / 3)] {
        let (decoded, peak, kept) = decode::<Event>(&event(&text));
        assert!(peak < EVENT && kept < EVENT, "{peak} {kept}");
        assert!(decoded.message.ends_with('…') && decoded.message.len() <= 2_048, "{}", decoded.message.len());
    }
    // serde_json copies a text with escapes once to unescape it, and keeps none of the copy.
    let (_, peak, kept) = decode::<Event>(&event(&"\"\n".repeat(MIB / 2)));
    assert!(peak < 3 * MIB && kept < EVENT, "{peak} {kept}");
}

#[test]
fn numbers_and_times_that_no_type_holds_lose_no_object() {
    let _turn = turn();
    for (count, times) in [(json!(-1), 1), (json!(5_000_000_000_i64), u32::MAX), (json!(null), 1)] {
        for time in ["9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "no time", ""] {
            let event = json!({"count": count, "firstTimestamp": time, "lastTimestamp": time, "eventTime": time});
            assert_eq!(decode::<Event>(&event.to_string()).0.times(), times, "{event}");
            let event = json!({"series": {"count": count, "lastObservedTime": time}, "reason": "R"});
            assert_eq!(decode::<Event>(&event.to_string()).0.times(), times, "{event}");
            let state = json!({"terminated": {"exitCode": -1, "startedAt": time, "finishedAt": time}});
            let status =
                json!({"name": "dev", "restartCount": count, "ready": null, "state": state, "lastState": null});
            let condition = json!({"type": "PodScheduled", "status": "False", "lastTransitionTime": time});
            let pod = json!({"status": {"containerStatuses": [status], "conditions": [condition]}});
            assert_eq!(decode::<Pod>(&pod.to_string()).0.status.container_statuses.len(), 1, "{pod}");
        }
    }
}

#[test]
fn a_million_elements_take_the_memory_of_those_kept() {
    let _turn = turn();
    let spec = |list: &str, element: &str| many(&format!("{{\"spec\":{{\"{list}\":["), element, "]}}");
    let container =
        |list: &str, element: &str| many(&format!("{{\"spec\":{{\"containers\":[{{\"{list}\":["), element, "]}]}}");
    let env = r#"{"name":"CODER_AGENT_TOKEN","value":"x"}"#;
    for json in [
        spec("containers", "{}"),
        spec("initContainers", r#"{"name":"a"}"#),
        spec("containers", &format!("{{\"env\":[{env}]}}")),
        spec("containers", r#"{"envFrom":[{"secretRef":{"name":"a"}}]}"#),
        spec("volumes", "{}"),
        spec("volumes", r#"{"secret":{"secretName":"a","items":[{"key":"a","path":"b"}]}}"#),
        spec("volumes", r#"{"projected":{"sources":[{"secret":{}},{"secret":{}}]}}"#),
        container("env", "{}"),
        container("env", r#"{"name":"A"}"#),
        container("env", env),
        container("env", r#"{"name":"A","valueFrom":{"secretKeyRef":{"name":"a","key":"b"}}}"#),
        container("envFrom", "{}"),
        container("envFrom", r#"{"secretRef":{}}"#),
        container("volumeMounts", r#"{"name":"a","mountPath":"b"}"#),
        many("{\"metadata\":{\"ownerReferences\":[", r#"{"kind":"a","name":"b","uid":"c","controller":true}"#, "]}}"),
        many("{\"status\":{\"conditions\":[", "{}", "]}}"),
        many("{\"status\":{\"containerStatuses\":[", r#"{"state":{"waiting":{"message":"a"}}}"#, "]}}"),
    ] {
        let (pod, peak, _) = decode::<Pod>(&json);
        assert!(peak < POD, "{peak} {}", &json[..100]);
        let (_, peak, _) = measured(|| extract::agents(&pod.spec));
        assert!(peak < POD, "{peak} {}", &json[..100]);
    }
}

#[test]
fn a_million_labels_and_annotations_take_the_memory_of_those_kept() {
    let _turn = turn();
    for map in ["labels", "annotations"] {
        for value in ["", "v"] {
            let entries: Vec<String> = (0..200_000).map(|n| format!("\"com.coder.{n}\":\"{value}\"")).collect();
            let json = format!("{{\"metadata\":{{\"{map}\":{{{}}}}}}}", entries.join(","));
            let (_, peak, kept) = decode::<Workload>(&json);
            assert!(peak < 256 * 1024 && kept < 128 * 1024, "{map}: {peak} {kept}");
        }
    }
}

#[test]
fn long_texts_of_a_pod_are_cut() {
    let _turn = turn();
    let text = "a".repeat(MIB);
    let json = json!({
        "metadata": {"name": text, "labels": {"com.coder.workspace.name": text}},
        "spec": {"containers": [{"name": text, "image": text, "env": [
            {"name": "CODER_AGENT_TOKEN", "value": text}, {"name": text, "value": text}],
            "envFrom": [{"prefix": text, "secretRef": {"name": text}}], "resources": {"limits": {"memory": text}}}]},
        "status": {"phase": text, "reason": text, "message": text, "containerStatuses": [
            {"name": text, "state": {"waiting": {"reason": text, "message": text}}}]},
    })
    .to_string();
    let (_, peak, kept) = decode::<Pod>(&json);
    assert!(peak < 64 * 1024 && kept < 64 * 1024, "{peak} {kept}");
}

#[test]
fn events_that_wait_for_their_subject_take_the_memory_of_their_limits() {
    let _turn = turn();
    let number = 100;
    let limits = Limits { waiting: number, ..Limits::default() };
    let mut correlator = Correlator::new(Arc::new(NoRegistrations), limits, false);
    let message = "token=a ".repeat(MIB / 8);
    let ((), _, kept) = measured(|| {
        for n in 0..number {
            let json = json!({"involvedObject": {"kind": "Pod", "namespace": "ns", "name": "a", "uid": n.to_string()},
                "metadata": {"namespace": "ns", "annotations": {"com.coder.a": message}}, "reason": "Pulled", "message": message});
            let event = serde_json::from_str(&json.to_string()).unwrap();
            correlator.observe(jiff::Timestamp::UNIX_EPOCH, Observation::Event { scope: ScopeId(0), event });
        }
    });
    assert_eq!(correlator.waiting(), number);
    assert!(kept < number * EVENT, "{kept}");
}

/// Returns the lines of an Event of a known pod, and the peak memory, from JSON to lines.
fn lines(json: &str) -> (Vec<String>, usize) {
    let mut correlator = Correlator::new(Arc::new(NoRegistrations), Limits::default(), false);
    let pod = json!({"metadata": {"name": "ws", "namespace": "ns", "uid": "u", "resourceVersion": "1"},
        "spec": {"containers": [{"name": "dev", "env": [{"name": "CODER_AGENT_TOKEN", "value": TOKEN}]}]}});
    let object = Object::Pod(Box::new(serde_json::from_str(&pod.to_string()).unwrap()));
    let now = jiff::Timestamp::UNIX_EPOCH;
    correlator.observe(now, Observation::Seen { scope: ScopeId(0), object, how: Arrival::Watched });
    let (lines, peak, _) = measured(|| {
        let event = serde_json::from_str(json).unwrap();
        let effects = correlator.observe(now, Observation::Event { scope: ScopeId(0), event });
        let lines = effects.into_iter().filter_map(|effect| match effect {
            Effect::Finding(finding) => Some(render(&finding, LogStyle::Fancy, |_| false).text),
            _ => None,
        });
        lines.collect()
    });
    (lines, peak)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_event_is_one_bounded_line(
        unit in "(\\PC|token|password|secret|=|:|://|@|\"|'| |basic |&|,|\\$\\(|22222222-){1,12}", size in 1_usize..100_000,
        reason in prop_oneof![Just("Pulled"), Just("FailedScheduling"), Just("Evicted"), Just("FailedMount"), Just("")],
        long_reason in any::<bool>()
    ) {
        let _turn = turn();
        let text = unit.repeat(size / unit.len() + 1);
        let reason = if long_reason { text.as_str() } else { reason };
        let json = json!({"involvedObject": {"kind": "Pod", "namespace": "ns", "name": "ws", "uid": "u"},
            "metadata": {"namespace": "ns", "name": text}, "type": "Warning", "reason": reason, "message": text});
        let json = json.to_string();
        let (lines, peak) = lines(&json);
        prop_assert_eq!(lines.len(), 1);
        prop_assert!(lines[0].chars().count() <= MAX_CHARS);
        prop_assert!(peak < 2 * json.len() + 256 * 1024, "{}", peak);
    }
}
