//! Repeats of the same failure in different words.

use super::*;
use crate::object::Event;

/// Returns the number of lines for an outage of this many minutes with a retry every 12 s. The first ten are separate
/// Events.
fn lines_of(minutes: i64, kind: &str, name: &str, reason: &str, message: impl Fn(i64) -> String) -> usize {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "ns", ALICE, &json!({}))));
    scenario.observe(seen(replicaset("rs", "ns", ALICE)));
    for n in 0..minutes * 5 {
        let at = start() + SignedDuration::from_secs(n * 12);
        let (uid, prefix, count) = match n {
            0..10 => (n, "", 1),
            _ => (10, "(combined from similar events): ", n - 9),
        };
        let event: Event = serde_json::from_value(json!({
            "metadata": {"namespace": "ns", "uid": format!("e{uid}"), "resourceVersion": (100 + n).to_string()},
            "involvedObject": {"kind": kind, "namespace": "ns", "name": name, "uid": format!("ns/{name}")},
            "reason": reason, "message": format!("{prefix}{}", message(n)), "type": "Warning", "count": count,
            "firstTimestamp": start().to_string(), "lastTimestamp": at.to_string(),
        }))
        .unwrap();
        scenario.now = at;
        scenario.observe(Observation::Event { scope: EVENTS, event: Box::new(event) });
        for _ in 0..11 {
            scenario.tick(1);
        }
    }
    let reported = scenario.findings_for(ALICE).into_iter().filter(|(what, _)| *what != FindingKind::Created);
    reported.count()
}

/// Returns random letters and digits, as in Kubernetes' names and ids.
fn random(n: i64, letters: &str, length: usize) -> String {
    let letters: Vec<char> = letters.chars().collect();
    let mut state = u64::try_from(n).unwrap().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        letters[usize::try_from(state % letters.len() as u64).unwrap()]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_storm_is_few_lines() {
    let hex = |n| random(n, "0123456789abcdef", 64);
    let name = |n| random(n, "bcdfghjklmnpqrstvwxz2456789", 5);
    let sandbox = |n: i64| {
        format!("Failed to create pod sandbox: failed to setup network for sandbox \"{}\": Unauthorized", hex(n))
    };
    let invalid = |n: i64| {
        format!(
            "Error creating: Pod \"rs-{}\" is invalid: spec.containers[0].resources: Invalid value: \"4Gi\"",
            name(n)
        )
    };
    let mount = |n: i64| {
        let mut volumes = ["config", "logs", "dags", "kube-api-access-t8b2v", "home"];
        volumes.rotate_left(usize::try_from(n % 5).unwrap());
        format!(
            "Unable to attach or mount volumes: unmounted volumes=[home], unattached volumes=[{}]: timed out",
            volumes.join(" ")
        )
    };
    let quota =
        |n: i64| format!("Error creating: pods \"rs-{}\" is forbidden: exceeded quota: q, used: memory={n}Gi", name(n));
    let nodes = |n: i64| {
        format!(
            "0/{} nodes are available: {} Insufficient cpu, {} Too many pods. preemption: no",
            400 + n % 3,
            100 + n,
            n % 2
        )
    };
    let uuid = |n: i64| format!("rpc error: denied, request id: {}", name(n));
    for minutes in [10, 60] {
        let limit = if minutes == 10 { 5 } else { 10 };
        for (reported, what) in [
            (lines_of(minutes, "Pod", "ws", "FailedCreatePodSandBox", sandbox), "sandbox"),
            (lines_of(minutes, "ReplicaSet", "rs", "FailedCreate", invalid), "invalid"),
            (lines_of(minutes, "Pod", "ws", "FailedMount", mount), "mount"),
            (lines_of(minutes, "ReplicaSet", "rs", "FailedCreate", quota), "quota"),
            (lines_of(minutes, "Pod", "ws", "FailedScheduling", nodes), "nodes"),
            (lines_of(minutes, "Pod", "ws", "FailedAttachVolume", uuid), "request"),
        ] {
            assert!((2..=limit).contains(&reported), "{what}: {reported} lines in {minutes} minutes");
        }
    }
    let day = lines_of(24 * 60, "Pod", "ws", "FailedScheduling", nodes);
    assert!((10..=20).contains(&day), "{day} lines in a day");
}

#[test]
fn an_unschedulable_status_with_other_numbers_is_one_line() {
    let mut scenario = Scenario::new();
    for n in 0..300 {
        let message =
            format!("0/{} nodes are available: {n} Insufficient cpu, {} Insufficient memory.", 400 + n, n % 7 + 1);
        let status = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]});
        scenario.observe(seen(pod("ws", "ns", ALICE, &status)));
        scenario.tick(11);
    }
    // The first message has only one reason, as "0 Insufficient cpu" does not count. No reason is new after the first
    // two.
    assert!(scenario.findings_for(ALICE).len() <= 3, "{:#?}", scenario.findings_for(ALICE));
}

#[test]
fn a_new_reason_is_another_line() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "ns", ALICE, &json!({}))));
    for (n, message) in [
        "0/4 nodes are available: 4 Insufficient cpu.",
        "0/5 nodes are available: 5 Insufficient cpu.",
        "0/5 nodes are available: 4 Insufficient cpu, 1 node(s) were unschedulable.",
        "0/5 nodes are available: 5 node(s) were unschedulable.",
    ]
    .into_iter()
    .enumerate()
    {
        scenario.observe(event("Pod", "ns", "ws", "FailedScheduling", message, 1, i64::try_from(n).unwrap()));
    }
    let reported: Vec<_> = scenario.findings_for(ALICE).into_iter().filter(|(_, repeat)| repeat.is_none()).collect();
    assert_eq!(reported.len(), 3, "{reported:#?}");
}

#[test]
fn a_pull_that_fails_for_another_reason_is_another_line() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "ns", ALICE, &json!({}))));
    for (n, why) in ["pull QPS exceeded", "401 Unauthorized", "pull QPS exceeded"].into_iter().enumerate() {
        let message = format!("Failed to pull image \"img\": {why}");
        scenario.observe(event(
            "Pod",
            "ns",
            "ws",
            "Failed",
            &message,
            u32::try_from(n).unwrap() + 1,
            i64::try_from(n).unwrap(),
        ));
        let waiting = json!({"containerStatuses": [{"name": "dev", "state": {"waiting": {"reason": "ErrImagePull", "message": why}}}]});
        scenario.observe(seen(pod("ws", "ns", ALICE, &waiting)));
    }
    let pull = |message: &str| FindingKind::ImagePull {
        container: "dev".into(),
        which: crate::finding::ContainerKind::App,
        image: "img".into(),
        message: message.into(),
    };
    let reported: Vec<_> =
        scenario.findings_for(ALICE).into_iter().filter(|(_, repeat)| repeat.is_none()).map(|(what, _)| what).collect();
    assert_eq!(reported, [FindingKind::Created, pull("pull QPS exceeded"), pull("401 Unauthorized")]);
}

#[test]
fn pods_evicted_one_after_the_other_are_counted_at_their_workload() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(replicaset("ws", "ns", ALICE)));
    for n in 0..25 {
        let name = format!("ws-{}", random(n, "bcdfghjklmnpqrstvwxz2456789", 5));
        let mut json = pod_json(&name, "ns", &env(ALICE));
        json["metadata"]["creationTimestamp"] = (start() + SignedDuration::from_secs(n * 12)).to_string().into();
        json["metadata"]["ownerReferences"] =
            json!([{"kind": "ReplicaSet", "name": "ws", "uid": "ns/ws", "controller": true}]);
        let status =
            json!({"phase": "Failed", "reason": "Evicted", "message": "The node had condition: [DiskPressure]. "});
        scenario.observe(seen(Object::Pod(Box::new(serde_json::from_value(json.clone()).unwrap()))));
        json["status"] = status;
        scenario.observe(event("Pod", "ns", &name, "Evicted", "The node had condition: [DiskPressure]. ", 1, n * 12));
        scenario.observe(seen(Object::Pod(Box::new(serde_json::from_value(json).unwrap()))));
        scenario.tick(12);
    }
    scenario.tick(3_600);
    scenario.tick(3_600);
    let reported: Vec<_> = scenario
        .findings_for(ALICE)
        .into_iter()
        .filter(|(what, _)| matches!(what, FindingKind::Evicted { .. }))
        .collect();
    assert!(reported.len() <= 6, "{reported:#?}");
    assert_eq!(reported.last().unwrap().1.unwrap().times, 25, "{reported:#?}");
    let announced: Vec<_> = scenario
        .findings()
        .into_iter()
        .filter(|finding| finding.kind == FindingKind::Created && finding.subject.kind == Kind::Pod)
        .collect();
    assert!(announced.len() <= 3 && announced.last().unwrap().repeat.unwrap().times == 25, "{announced:#?}");
    assert!(announced[0].repeat.is_none(), "{announced:#?}");
    assert!(scenario.nothing_is_held());
}
