//! Trouble that is over, and pulls that take long.

use super::*;
use crate::{
    finding::Stage,
    render::{LogStyle, render},
};

fn lines(scenario: &Scenario) -> Vec<String> {
    scenario.findings().into_iter().map(|finding| render(finding, LogStyle::Plain, |_| false).text).collect()
}

fn scheduled(scheduled: bool) -> serde_json::Value {
    let (status, reason, message) = if scheduled {
        ("True", "", "")
    } else {
        ("False", "Unschedulable", "0/2 nodes are available: 2 Insufficient cpu.")
    };
    json!({"conditions": [{"type": "PodScheduled", "status": status, "reason": reason, "message": message}]})
}

#[test]
fn a_pod_that_waited_for_a_node_reports_its_scheduling() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "ns", ALICE, &scheduled(false))));
    scenario.observe(event(
        "Pod",
        "ns",
        "ws",
        "FailedScheduling",
        "0/2 nodes are available: 2 Insufficient cpu.",
        2,
        30,
    ));
    for _ in 0..240 {
        scenario.tick(1);
    }
    scenario.observe(seen(pod("ws", "ns", ALICE, &scheduled(true))));
    let reported = lines(&scenario);
    assert!(reported.last().unwrap().contains("scheduled after 4m"), "{reported:#?}");
    // Held facts of the trouble are not reported after it.
    let before = reported.len();
    scenario.tick(100_000);
    assert_eq!(lines(&scenario).len(), before);
}

#[test]
fn failures_of_a_readiness_probe_are_not_counted_once_the_pod_is_ready() {
    let mut scenario = Scenario::new();
    let running = |ready| {
        json!({"conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "dev", "state": {"running": {}}}]})
    };
    scenario.observe(seen(pod("ws", "ns", ALICE, &running("False"))));
    for failures in 1..=8 {
        scenario.tick(10);
        let failed = event("Pod", "ns", "ws", "Unhealthy", "Readiness probe failed: HTTP 500", failures, 1);
        let Observation::Event { scope, mut event } = failed else { unreachable!() };
        event.involved_object.field_path = "spec.containers{dev}".into();
        scenario.observe(Observation::Event { scope, event });
    }
    scenario.tick(1);
    scenario.observe(seen(pod("ws", "ns", ALICE, &running("True"))));
    let reported = lines(&scenario);
    assert!(reported.last().unwrap().contains("ready after"), "{reported:#?}");
    scenario.tick(100_000);
    assert_eq!(lines(&scenario), reported);
    assert!(scenario.nothing_is_held());
}

#[test]
fn a_start_without_trouble_has_no_recovery_line() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "ns", ALICE, &json!({}))));
    scenario.tick(300);
    scenario.observe(seen(pod("ws", "ns", ALICE, &scheduled(true))));
    assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None)]);
}

#[test]
fn a_workload_reports_that_its_refused_pod_was_created() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(replicaset("rs", "ns", ALICE)));
    scenario.observe(event(
        "ReplicaSet",
        "ns",
        "rs",
        "FailedCreate",
        "pods \"rs-\" is forbidden: exceeded quota: q",
        1,
        0,
    ));
    scenario.tick(180);
    let mut json = pod_json("rs-1", "ns", &env(ALICE));
    json["metadata"]["ownerReferences"] =
        json!([{"kind": "ReplicaSet", "name": "rs", "uid": "ns/rs", "controller": true}]);
    scenario.observe(seen(Object::Pod(Box::new(serde_json::from_value(json).unwrap()))));
    let reported = lines(&scenario);
    assert!(reported.iter().any(|line| line == "The pod could be created after 3m"), "{reported:#?}");
}

fn pulling(reason: &str, message: &str) -> Observation {
    let Observation::Event { scope, mut event } = event("Pod", "ns", "ws", reason, message, 1, 1) else {
        unreachable!()
    };
    event.kind = "Normal".into();
    event.involved_object.field_path = "spec.containers{dev}".into();
    Observation::Event { scope, event }
}

#[test]
fn a_long_pull_is_reported_with_its_duration_and_its_end() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "ns", ALICE, &scheduled(true))));
    scenario.observe(pulling("Pulling", "Pulling image \"img\""));
    for _ in 0..300 {
        scenario.tick(1);
    }
    let slow: Vec<_> = lines(&scenario).into_iter().filter(|line| line.contains("has been pulled for")).collect();
    assert!(
        slow.len() == 1 && slow[0].contains("Container dev waits: image \"img\" has been pulled for 2m"),
        "{slow:#?}"
    );
    scenario.observe(pulling("Pulled", "Successfully pulled image \"img\" in 5m"));
    let running = json!({"containerStatuses": [{"name": "dev", "state": {"running": {}}}]});
    scenario.observe(seen(pod("ws", "ns", ALICE, &running)));
    let reported = lines(&scenario);
    assert!(reported.last().unwrap().contains("Image \"img\" pulled after 5m"), "{reported:#?}");
    scenario.tick(100_000);
    assert_eq!(lines(&scenario).len(), reported.len());
    let finding = scenario.findings().last().unwrap().kind.clone();
    assert!(matches!(finding, FindingKind::Recovered { stage: Stage::Pulled(_), .. }));
}

#[test]
fn a_quick_pull_is_no_news() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "ns", ALICE, &scheduled(true))));
    scenario.observe(pulling("Pulling", "Pulling image \"img\""));
    scenario.tick(60);
    scenario.observe(pulling("Pulled", "Successfully pulled image \"img\" in 60s"));
    scenario.tick(100_000);
    assert!(!lines(&scenario).iter().any(|line| line.contains("has been pulled for")));
}

#[test]
fn the_same_failure_of_a_workloads_next_pods_is_counted() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(replicaset("job", "ns", ALICE)));
    for n in 0..20 {
        let mut json = pod_json(&format!("job-{n}"), "ns", &env(ALICE));
        json["metadata"]["ownerReferences"] =
            json!([{"kind": "ReplicaSet", "name": "job", "uid": "ns/job", "controller": true}]);
        json["spec"]["restartPolicy"] = "Never".into();
        let ended = (start() + SignedDuration::from_secs(n * 30)).to_string();
        json["status"] = json!({"phase": "Failed", "containerStatuses": [{"name": "dev",
            "state": {"terminated": {"exitCode": 3, "reason": "Error", "finishedAt": ended}}}]});
        scenario.observe(seen(Object::Pod(Box::new(serde_json::from_value(json).unwrap()))));
        for _ in 0..30 {
            scenario.tick(1);
        }
    }
    let reported: Vec<_> = lines(&scenario).into_iter().filter(|line| line.contains("exit code 3")).collect();
    assert!((2..=5).contains(&reported.len()) && reported.last().unwrap().contains("(x"), "{reported:#?}");
}

/// Returns the effects for operators: failed starts by cause, and starts with the causes before them.
fn starts(scenario: &Scenario) -> Vec<String> {
    let reported = scenario.effects.iter().filter_map(|effect| match effect {
        Effect::StartFailed { start, cause } => Some(format!("{} failed: {}", start.subject.name, cause.id)),
        Effect::Started { start, after } => {
            let after: Vec<_> = after.iter().map(|cause| cause.id).collect();
            Some(format!("{} runs after {}s, {after:?}", start.subject.name, start.duration.as_secs()))
        }
        _ => None,
    });
    reported.collect()
}

#[test]
fn each_cause_of_a_failed_start_counts_once_and_a_start_once() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "ns", ALICE, &scheduled(false))));
    for second in [10, 100, 1_000] {
        scenario.observe(event(
            "Pod",
            "ns",
            "ws",
            "FailedScheduling",
            "0/2 nodes are available: 2 Insufficient cpu.",
            9,
            second,
        ));
    }
    let running = json!({"phase": "Running", "containerStatuses": [
        {"name": "dev", "state": {"running": {"startedAt": "2026-11-22T12:02:01Z"}}}]});
    scenario.observe(seen(pod("ws", "ns", ALICE, &running)));
    scenario.observe(seen(pod("ws", "ns", ALICE, &running)));
    assert_eq!(starts(&scenario), ["ws failed: cpu", "ws runs after 120s, [\"cpu\"]"]);
}

#[test]
fn a_pod_that_ran_before_the_program_started_is_no_start() {
    let mut scenario = Scenario::new();
    let running = json!({"phase": "Running", "containerStatuses": [{"name": "dev", "state": {"running": {}}}]});
    let object = pod("ws", "ns", ALICE, &running);
    scenario.observe(Observation::Seen { scope: PODS, object, how: Arrival::ListedKnown });
    assert_eq!(starts(&scenario), [] as [&str; 0]);
}

/// Returns the status of a container that ran between these seconds of the node's clock, and now waits or runs for the
/// n-th time.
fn crashed(restarts: u32, ran: (i64, i64), state: &serde_json::Value) -> serde_json::Value {
    let at = |second| (start() + SignedDuration::from_secs(second)).to_string();
    let last = json!({"terminated": {"exitCode": 1, "reason": "Error", "startedAt": at(ran.0), "finishedAt": at(ran.1),
        "containerID": format!("c{restarts}")}});
    let ready = state.get("running").is_some();
    json!({"phase": "Running", "containerStatuses": [
        {"name": "dev", "restartCount": restarts, "ready": ready, "state": state, "lastState": last}]})
}

fn back_off() -> serde_json::Value {
    json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container=dev"}})
}

#[test]
fn a_container_that_stays_up_after_crashes_is_one_line() {
    let mut scenario = Scenario::new();
    for restarts in 1..4 {
        let from = i64::from(restarts) * 20;
        scenario.tick(20);
        scenario.observe(seen(pod("ws", "ns", ALICE, &crashed(restarts, (from - 5, from), &back_off()))));
    }
    scenario.tick(20);
    scenario.observe(seen(pod("ws", "ns", ALICE, &crashed(4, (75, 80), &json!({"running": {}})))));
    let over = |scenario: &Scenario| {
        lines(scenario).into_iter().filter(|line| line.contains("of crashes")).collect::<Vec<_>>()
    };
    scenario.tick(119);
    assert_eq!(over(&scenario), [""; 0]);
    scenario.tick(1);
    assert_eq!(over(&scenario), ["Container dev runs and is ready after 60s of crashes"]);
    // Held facts of the crashes are not reported after it, and it is reported once.
    let reported = lines(&scenario).len();
    scenario.tick(100_000);
    assert_eq!(lines(&scenario).len(), reported);
}

#[test]
fn a_container_that_crashes_after_minutes_again_and_again_is_not_over_it() {
    let mut scenario = Scenario::new();
    let mut at = 0;
    for restarts in 1..20 {
        scenario.observe(seen(pod("ws", "ns", ALICE, &crashed(restarts, (at, at + 180), &back_off()))));
        scenario.tick(10);
        scenario.observe(seen(pod("ws", "ns", ALICE, &crashed(restarts, (at, at + 180), &json!({"running": {}})))));
        for _ in 0..180 {
            scenario.tick(1);
        }
        at += 190;
    }
    assert!(!lines(&scenario).iter().any(|line| line.contains("of crashes")), "{:#?}", lines(&scenario));
}

#[test]
fn an_unready_or_ending_container_has_not_recovered() {
    for end in [json!({"ready": false}), json!({"deleted": true})] {
        let mut scenario = Scenario::new();
        scenario.observe(seen(pod("ws", "ns", ALICE, &crashed(1, (0, 5), &back_off()))));
        let mut status = crashed(1, (0, 5), &json!({"running": {}}));
        if end["ready"] == false {
            status["containerStatuses"][0]["ready"] = false.into();
        }
        scenario.tick(10);
        scenario.observe(seen(pod("ws", "ns", ALICE, &status)));
        if end["deleted"] == true {
            scenario.observe(Observation::Gone { scope: PODS, object: pod("ws", "ns", ALICE, &status) });
            scenario.confirm(Presence::Absent);
        }
        scenario.tick(1_000);
        assert!(!lines(&scenario).iter().any(|line| line.contains("of crashes")), "{:#?}", lines(&scenario));
    }
}

/// Creates a pod with an init container and its app container.
fn with_init(restart_policy: &str, status: &serde_json::Value) -> Observation {
    let mut json = pod_json("ws", "ns", &env(ALICE));
    json["spec"]["initContainers"] = json!([{"name": "proxy", "image": "img", "restartPolicy": restart_policy}]);
    json["status"] = status.clone();
    seen(Object::Pod(Box::new(serde_json::from_value(json).unwrap())))
}

#[test]
fn an_init_container_that_succeeds_after_crashes_is_reported() {
    let mut scenario = Scenario::new();
    scenario.observe(with_init("", &json!({"initContainerStatuses": [{"name": "proxy", "state": back_off()}]})));
    scenario.tick(60);
    let done = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    scenario.observe(with_init("", &json!({"initContainerStatuses": [{"name": "proxy", "state": done}]})));
    assert_eq!(lines(&scenario).last().unwrap(), "Init container proxy succeeded after 60s of crashes");
}

#[test]
fn a_sidecar_is_called_one() {
    let mut scenario = Scenario::new();
    let running = json!({"initContainerStatuses": [{"name": "proxy", "state": {"running": {}}}],
        "containerStatuses": [{"name": "dev", "state": {"running": {}}}]});
    scenario.observe(with_init("Always", &running));
    let Observation::Event { scope, mut event } =
        event("Pod", "ns", "ws", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500", 1, 1)
    else {
        unreachable!()
    };
    event.involved_object.field_path = "spec.initContainers{proxy}".into();
    scenario.observe(Observation::Event { scope, event });
    let end = json!({"terminated": {"exitCode": 2, "reason": "Error"}});
    let mut ended = running.clone();
    ended["initContainerStatuses"][0]["state"] = end.clone();
    scenario.observe(with_init("Always", &ended));
    let reported = lines(&scenario);
    let has = |text: &str| reported.iter().any(|line| line.starts_with(text));
    assert!(has("Sidecar container proxy: Readiness probe failed"), "{reported:#?}");
    assert!(has("Sidecar container proxy ended with exit code 2 (Error) → Its command failed."), "{reported:#?}");
    // It is stopped once the app containers have ended.
    let mut scenario = Scenario::new();
    scenario.observe(with_init("Always", &running));
    ended["containerStatuses"][0]["state"] = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    ended["phase"] = "Succeeded".into();
    scenario.observe(with_init("Always", &ended));
    assert!(!lines(&scenario).iter().any(|line| line.contains("proxy")), "{:#?}", lines(&scenario));
}
