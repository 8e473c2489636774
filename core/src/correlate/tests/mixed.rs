//! Retry storms in which several causes alternate.

use super::*;
use crate::object::Event;

/// Interval between the tries of a controller or kubelet, in seconds.
const EVERY: i64 = 12;

/// Object that Events of a storm are about, and the reason and message of the n-th of them.
type Storm<'a> = (&'a str, &'a str, &'a dyn Fn(i64) -> (&'static str, String));

/// Returns the lines of a storm of this many minutes. Each message that was seen before raises the count of its Event.
fn lines(minutes: i64, (kind, name, event): Storm<'_>) -> Vec<(i64, FindingKind, Option<Repeat>)> {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "ns", ALICE, &json!({}))));
    scenario.observe(seen(replicaset("rs", "ns", ALICE)));
    let mut counts: BTreeMap<(&str, String), (usize, u32)> = BTreeMap::new();
    for n in 0..minutes * 60 / EVERY {
        let at = start() + SignedDuration::from_secs(n * EVERY);
        let (reason, message) = event(n);
        let next = counts.len();
        let (uid, count) = counts.entry((reason, message.clone())).or_insert((next, 0));
        *count += 1;
        let event: Event = serde_json::from_value(json!({
            "metadata": {"namespace": "ns", "uid": format!("e{uid}"), "resourceVersion": (100 + n).to_string()},
            "involvedObject": {"kind": kind, "namespace": "ns", "name": name, "uid": format!("ns/{name}")},
            "reason": reason, "message": message, "type": if reason == "SandboxChanged" { "Normal" } else { "Warning" }, "count": *count,
            "firstTimestamp": start().to_string(), "lastTimestamp": at.to_string(),
        }))
        .unwrap();
        scenario.now = at;
        scenario.observe(Observation::Event { scope: EVENTS, event: Box::new(event) });
        for _ in 1..EVERY {
            scenario.tick(1);
        }
    }
    let reported = scenario.findings().into_iter().filter(|finding| finding.kind != FindingKind::Created);
    reported
        .map(|finding| (finding.at.duration_since(start()).as_secs(), finding.kind.clone(), finding.repeat))
        .collect()
}

/// Asserts at most five lines in ten minutes, and twenty in a day.
fn assert_few(name: &str, storm: Storm<'_>) {
    for (minutes, most) in [(10, 5), (24 * 60, 20)] {
        let reported = lines(minutes, storm);
        let steps =
            reported.iter().filter(|(_, kind, _)| matches!(kind, FindingKind::Event { warning: false, .. })).count();
        let number = reported.len() - steps;
        assert!(
            (2..=most).contains(&number) && steps <= 1,
            "{name}: {number} lines in {minutes} minutes: {reported:#?}"
        );
    }
}

#[test]
fn alternating_causes_of_one_family_are_few_lines() {
    let of = |texts: &'static [(&'static str, &'static str)]| {
        move |n: i64| {
            let (reason, text) = texts[usize::try_from(n).unwrap() % texts.len()];
            (reason, text.to_owned())
        }
    };
    let volumes = of(&[
        ("FailedMount", "MountVolume.SetUp failed for volume \"a\" : secret \"a\" not found"),
        ("FailedMount", "MountVolume.SetUp failed for volume \"b\" : configmap \"b\" not found"),
        (
            "FailedMount",
            "Unable to attach or mount volumes: unmounted volumes=[a b]: timed out waiting for the condition",
        ),
        ("FailedAttachVolume", "Multi-Attach error for volume \"pvc-1\" Volume is already used by pod(s) ws-0"),
    ]);
    assert_few("volumes", ("Pod", "ws", &volumes));
    let network = of(&[
        (
            "FailedCreatePodSandBox",
            "Failed to create pod sandbox: plugin type=\"x\" failed (add): no IP addresses available",
        ),
        ("FailedCreatePodSandBox", "Failed to create pod sandbox: plugin type=\"x\" failed (add): i/o timeout"),
        ("NetworkNotReady", "network is not ready: cni plugin not initialized"),
        ("SandboxChanged", "Pod sandbox changed, it will be killed and re-created."),
    ]);
    assert_few("network", ("Pod", "ws", &network));
    let scheduling = of(&[
        ("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu."),
        ("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached"),
        ("FailedScheduling", "0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory."),
        ("FailedScheduling", "Failed to schedule pod, incompatible with nodepool \"default\", no instance type"),
    ]);
    assert_few("scheduling", ("Pod", "ws", &scheduling));
    let refused = of(&[
        ("FailedCreate", "Error creating: pods \"rs-\" is forbidden: exceeded quota: q, requested: pods=1"),
        ("FailedCreate", "Error creating: Internal error occurred: failed calling webhook \"x\": EOF"),
        ("FailedCreate", "Error creating: etcdserver: request timed out"),
    ]);
    assert_few("refused", ("ReplicaSet", "rs", &refused));
}

#[test]
fn a_new_text_at_each_try_is_few_lines() {
    let words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"];
    let text = move |n: i64| {
        let at = |n: i64| words[usize::try_from(n).unwrap() % words.len()];
        format!("driver said {} {} {}", at(n), at(n / 12), at(n / 144))
    };
    for (kind, name, reason) in [
        ("Pod", "ws", "FailedMount"),
        ("Pod", "ws", "FailedCreatePodSandBox"),
        ("Pod", "ws", "FailedScheduling"),
        ("Pod", "ws", "Odd"),
        ("ReplicaSet", "rs", "FailedCreate"),
    ] {
        assert_few(reason, (kind, name, &move |n| (reason, text(n))));
    }
}

/// Returns the lines of a workload that creates a pod every 12 s. Each pod is evicted at once and deleted a minute
/// later.
fn evicted_pods(minutes: i64, reasons: &[&str]) -> Vec<(i64, FindingKind, Option<Repeat>)> {
    let mut scenario = Scenario::new();
    scenario.observe(seen(replicaset("ws", "ns", ALICE)));
    let pod = |n: i64, status: &serde_json::Value| {
        let mut json = pod_json(&format!("ws-{}", name(n)), "ns", &env(ALICE));
        json["metadata"]["creationTimestamp"] = (start() + SignedDuration::from_secs(n * EVERY)).to_string().into();
        json["metadata"]["ownerReferences"] =
            json!([{"kind": "ReplicaSet", "name": "ws", "uid": "ns/ws", "controller": true}]);
        json["status"] = status.clone();
        Object::Pod(Box::new(serde_json::from_value(json).unwrap()))
    };
    for n in 0..minutes * 60 / EVERY {
        let message = reasons[usize::try_from(n).unwrap() % reasons.len()];
        let status = json!({"phase": "Failed", "reason": "Evicted", "message": message});
        scenario.observe(seen(pod(n, &json!({}))));
        scenario.observe(super::event("Pod", "ns", &format!("ws-{}", name(n)), "Evicted", message, 1, n * EVERY));
        scenario.observe(seen(pod(n, &status)));
        if n >= 5 {
            scenario.observe(Observation::Gone { scope: PODS, object: pod(n - 5, &status) });
        }
        for _ in 0..EVERY {
            scenario.tick(1);
        }
    }
    let reported = scenario.findings();
    reported
        .into_iter()
        .map(|finding| (finding.at.duration_since(start()).as_secs(), finding.kind.clone(), finding.repeat))
        .collect()
}

/// Returns a random suffix of a pod's name.
fn name(n: i64) -> String {
    let letters: Vec<char> = "bcdfghjklmnpqrstvwxz2456789".chars().collect();
    (0..5).map(|place| letters[usize::try_from(n * 7 + place * (n / 3 + 1)).unwrap() % letters.len()]).collect()
}

/// The workload, its first pod, and the one that replaces it are announced; the rest is the storm.
#[test]
fn evictions_of_a_workspace_are_few_lines() {
    let disk = "The node had condition: [DiskPressure]. ";
    let alternating = [disk, "The node was low on resource: memory. ", "The node had condition: [PIDPressure]. "];
    for reasons in [&[disk][..], &alternating[..]] {
        for (minutes, most) in [(10, 7), (24 * 60, 20)] {
            let reported = evicted_pods(minutes, reasons);
            assert!(
                (3..=most).contains(&reported.len()),
                "{} lines in {minutes} minutes: {reported:#?}",
                reported.len()
            );
        }
    }
}
