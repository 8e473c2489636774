//! The correlation rules, one by one.

use super::*;
use crate::object::Event;

fn event_of(event: serde_json::Value) -> Observation {
    Observation::Event { scope: EVENTS, event: Box::new(serde_json::from_value::<Event>(event).unwrap()) }
}

/// Creates a pod with a resourceVersion and anything else in its metadata.
fn pod_with(revision: u32, status: &serde_json::Value, metadata: &serde_json::Value) -> Object {
    let mut json = pod_json("ws", "ns", &env(ALICE));
    json["metadata"]["resourceVersion"] = revision.to_string().into();
    for (key, value) in metadata.as_object().unwrap() {
        json["metadata"][key] = value.clone();
    }
    json["status"] = status.clone();
    Object::Pod(Box::new(serde_json::from_value(json).unwrap()))
}

fn listed(object: Object) -> Observation {
    Observation::Seen { scope: PODS, object, how: Arrival::ListedChanged }
}

// A pod that is selected later.

#[test]
fn a_pod_looked_up_too_early_is_reported_once_the_watch_shows_it() {
    let mut scenario = Scenario::new();
    scenario.book.claims.lock().unwrap().insert("ws".into());
    let effects = scenario.observe(event("Pod", "ns", "ws", "R", "before", 1, 1));
    let subject = effects.into_iter().find_map(|effect| match effect {
        Effect::LookUp(subject) => Some(subject),
        _ => None,
    });
    scenario.observe(Observation::LookedUp { scope: Some(PODS), subject: subject.unwrap(), found: Ok(None) });
    let effects = scenario.observe(event("Pod", "ns", "ws", "R", "not selected", 1, 2));
    assert_eq!(effects, [Effect::Count(Counted::NonWorkspace)]);
    scenario.observe(seen(pod("ws", "ns", ALICE, &json!({}))));
    scenario.observe(event("Pod", "ns", "ws", "R", "after", 1, 3));
    assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None), (event_finding("R", "after"), None)]);
    assert!(scenario.nothing_is_held());
}

#[test]
fn lines_of_an_object_that_was_looked_up_have_a_mark() {
    let mut scenario = Scenario::new();
    let Object::Pod(found) = pod("ws", "ns", ALICE, &json!({})) else { unreachable!() };
    let subject = found.metadata.subject(Kind::Pod).unwrap();
    scenario.observe(Observation::LookedUp { scope: Some(PODS), subject, found: Ok(Some(Object::Pod(found))) });
    let fact_id = scenario.findings()[0].fact_id.unwrap();
    assert_eq!((fact_id.scope, fact_id.revision, fact_id.subject), (PODS, 10, Uid::parse("ns/ws").unwrap()));
}

// Objects that Events belong to.

#[test]
fn invariant_1_an_event_of_another_namespace_reaches_no_agent() {
    let forged = |namespace: &str, about: &str, name: &str| {
        event_of(json!({
            "metadata": {"namespace": namespace, "uid": "e", "resourceVersion": "99"},
            "involvedObject": {"kind": "Pod", "namespace": about, "name": name, "uid": "ns/ws"},
            "reason": "R", "message": "forged", "type": "Warning", "eventTime": start().to_string(),
        }))
    };
    let mut scenario = Scenario::new();
    let forgeries = [("evil", "ns", "ws"), ("evil", "evil", "ws"), ("evil", "", "ws"), ("evil", "evil", "other")];
    // Before the pod is known, and after.
    for (namespace, about, name) in forgeries {
        scenario.observe(forged(namespace, about, name));
    }
    for effect in scenario.tick(3) {
        let Effect::LookUp(subject) = effect else { continue };
        assert_eq!(&*subject.namespace, "evil");
        scenario.observe(Observation::LookedUp { scope: None, subject, found: Ok(None) });
    }
    scenario.observe(event("Pod", "ns", "ws", "R", "true", 1, 1));
    scenario.observe(seen(pod("ws", "ns", ALICE, &json!({}))));
    for (namespace, about, name) in forgeries {
        scenario.observe(forged(namespace, about, name));
    }
    scenario.observe(forged("ns", "ns", "other"));
    assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None), (event_finding("R", "true"), None)]);
    assert_eq!(scenario.counted(Counted::ForeignNamespace), 5);
    assert!(scenario.nothing_is_held());
}

fn nameless(message: &str, at: &str) -> Observation {
    event_of(json!({
        "metadata": {"namespace": "ns", "uid": format!("e{message}"), "resourceVersion": "50"},
        "involvedObject": {"kind": "Pod", "namespace": "ns", "name": "ws"},
        "reason": "TaintManagerEviction", "message": message, "type": "Normal", "count": 1,
        "firstTimestamp": at, "lastTimestamp": at,
    }))
}

#[test]
fn an_event_without_a_uid_is_of_the_object_that_lived_then() {
    let mut scenario = Scenario::new();
    scenario.observe(nameless("before the pod", "2026-11-22T11:59:00Z"));
    scenario.observe(nameless("of the pod, early", "2026-11-22T12:00:02Z"));
    scenario.observe(seen(pod("ws", "ns", ALICE, &json!({}))));
    scenario.observe(nameless("of the pod", "2026-11-22T12:00:03Z"));
    scenario.now = "2026-11-22T12:00:10Z".parse().unwrap();
    let gone = pod_with(11, &json!({}), &json!({"deletionTimestamp": "2026-11-22T12:00:09Z"}));
    scenario.observe(Observation::Gone { scope: PODS, object: gone });
    scenario.observe(nameless("after the pod", "2026-11-22T12:00:40Z"));
    scenario.tick(600);
    let reported = scenario.findings_for(ALICE).into_iter().filter_map(|(what, _)| match what {
        FindingKind::Event { message, .. } => Some(message),
        _ => None,
    });
    assert_eq!(reported.collect::<Vec<_>>(), ["of the pod, early", "of the pod"]);
    assert!(scenario.nothing_is_held());
}

// Objects that are no longer shown.

fn with_pod() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "ns", ALICE, &json!({}))));
    scenario
}

#[test]
fn a_pod_that_leaves_the_selection_is_silent_and_goes_on_when_it_comes_back() {
    for seconds in [0, 600] {
        let mut scenario = with_pod();
        scenario.observe(Observation::Gone { scope: PODS, object: pod("ws", "ns", ALICE, &json!({})) });
        scenario.observe(event("Pod", "ns", "ws", "R", "while it is asked", 1, 1));
        scenario.confirm(Presence::Unselected);
        assert!(scenario.effects.contains(&Effect::Ended(token(ALICE))));
        scenario.observe(event("Pod", "ns", "ws", "R", "left out", 1, 2));
        scenario.tick(seconds);
        scenario.observe(seen(pod("ws", "ns", ALICE, &json!({}))));
        scenario.observe(event("Pod", "ns", "ws", "R", "back", 1, 3));
        assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None), (event_finding("R", "back"), None)]);
        assert!(scenario.nothing_is_held());
    }
}

#[test]
fn a_pod_deleted_by_force_is_reported_with_its_last_events() {
    let mut scenario = with_pod();
    scenario.observe(Observation::Gone { scope: PODS, object: pod("ws", "ns", ALICE, &json!({})) });
    scenario.observe(event("Pod", "ns", "ws", "R", "last", 1, 1));
    // The API server does not answer at first.
    let asked = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::CheckPresence(subject) => Some(subject.clone()),
            _ => None,
        })
    };
    let subject = asked(&scenario.effects).unwrap();
    scenario.observe(Observation::PresenceChecked { subject, presence: Err(LookupFailed) });
    assert_eq!(asked(&scenario.tick(5)), None);
    let again = scenario.tick(30);
    assert!(asked(&again).is_some(), "{again:?}");
    scenario.confirm(Presence::Absent);
    let last = [(FindingKind::Created, None), (FindingKind::Deleted, None), (event_finding("R", "last"), None)];
    assert_eq!(scenario.findings_for(ALICE), last);
}

#[test]
fn a_stale_list_does_not_end_newer_objects() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod_with(50, &json!({}), &json!({}))));
    scenario.observe(seen(replicaset("rs", "ns", BOB)));
    for scope in [PODS, REPLICASETS] {
        scenario.observe(Observation::Relisting(scope));
        scenario.observe(Observation::Synced(scope));
    }
    scenario.observe(event("Pod", "ns", "ws", "R", "meanwhile", 1, 1));
    scenario.confirm(Presence::Selected);
    assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None), (event_finding("R", "meanwhile"), None)]);
    assert_eq!(scenario.findings_for(BOB), [(FindingKind::Created, None)]);
    // A list that shows something newer is newer: objects missing from it are gone.
    scenario.observe(Observation::Relisting(REPLICASETS));
    let mut newer = json!({"metadata": {"name": "other", "namespace": "ns", "uid": "other", "resourceVersion": "90"}});
    newer["spec"] = json!({"template": {"spec": {"containers": []}}});
    let newer = Object::Workload(Kind::ReplicaSet, Box::new(serde_json::from_value(newer).unwrap()));
    scenario.observe(Observation::Seen { scope: REPLICASETS, object: newer, how: Arrival::ListedChanged });
    scenario.observe(Observation::Synced(REPLICASETS));
    assert_eq!(scenario.findings_for(BOB), [(FindingKind::Created, None), (FindingKind::Deleted, None)]);
}

// Facts reported before a restart.

#[test]
fn facts_reported_before_a_restart_are_not_repeated() {
    let since = start() + SignedDuration::from_hours(1);
    let condition = json!([{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-22T12:00:02Z"}]);
    let waiting = |reason: &str, message: &str| {
        json!({"conditions": condition, "containerStatuses": [
            {"name": "dev", "state": {"waiting": {"reason": reason, "message": message}}}]})
    };
    for status in [
        waiting("ErrImagePull", "not found"),
        waiting("CreateContainerConfigError", "secret \"x\" not found"),
        waiting("CrashLoopBackOff", "back-off"),
        json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory", "startTime": "2026-11-22T12:00:02Z"}),
        json!({"phase": "Failed", "reason": "NodeLost", "conditions": condition}),
        json!({"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "lastTransitionTime": "2026-11-22T12:00:02Z"}]}),
        // Only the pod's own time shows when it happened.
        json!({"containerStatuses": [{"name": "dev", "state": {"waiting": {"reason": "InvalidImageName"}}}]}),
    ] {
        let mut scenario = Scenario::with(
            Limits::default(),
            Checkpoint { created_since: since, status_until: since, ..Checkpoint::default() },
        );
        scenario.observe(listed(pod_with(20, &status, &json!({}))));
        // It alternates, as a kubelet's status does.
        scenario.observe(seen(pod_with(21, &status, &json!({}))));
        assert_eq!(scenario.findings_for(ALICE), [], "{status}");
    }
}

#[test]
fn facts_that_began_after_a_restart_are_reported() {
    let since = start() + SignedDuration::from_hours(1);
    let history = || Checkpoint { created_since: since, status_until: since, ..Checkpoint::default() };
    // Its pod is old, and its facts are new: the end of a container has a time, and a pull has that of its Event.
    let mut scenario = Scenario::with(Limits::default(), history());
    let crashed = json!({"containerStatuses": [{"name": "dev", "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-11-22T13:00:09Z"}}}]});
    scenario.observe(listed(pod_with(20, &crashed, &json!({}))));
    assert_eq!(scenario.findings_for(ALICE).len(), 2, "{:#?}", scenario.findings_for(ALICE));

    let mut scenario = Scenario::with(Limits::default(), history());
    let waiting = json!({"containerStatuses": [
        {"name": "dev", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}]});
    scenario.observe(listed(pod_with(20, &waiting, &json!({}))));
    let event = |second: i64| {
        let at = since + SignedDuration::from_secs(second);
        event_of(json!({
            "metadata": {"namespace": "ns", "uid": "e", "resourceVersion": (50 + second).to_string()},
            "involvedObject": {"kind": "Pod", "namespace": "ns", "name": "ws", "uid": "ns/ws",
                "fieldPath": "spec.containers{dev}"},
            "reason": "Failed", "message": "Failed to pull image \"img\": not found", "type": "Warning", "count": 1,
            "firstTimestamp": at.to_string(), "lastTimestamp": at.to_string(),
        }))
    };
    scenario.observe(event(1));
    assert_eq!(scenario.findings_for(ALICE).len(), 1, "{:#?}", scenario.findings_for(ALICE));
}

// Agents and counts.

#[test]
fn a_workload_with_another_agent_keeps_only_that() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(replicaset("ws", "ns", ALICE)));
    let effects = scenario.observe(seen(replicaset("ws", "ns", BOB)));
    assert!(effects.contains(&Effect::Ended(token(ALICE))), "{effects:?}");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Open { agent, .. } if *agent == token(BOB))));
    scenario.observe(event("ReplicaSet", "ns", "ws", "R", "for bob", 1, 1));
    assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None)]);
    assert_eq!(scenario.findings_for(BOB), [(event_finding("R", "for bob"), None)]);
    // Without a change nothing ends.
    let effects = scenario.observe(seen(replicaset("ws", "ns", BOB)));
    assert_eq!(effects, []);
}

#[test]
fn one_end_of_each_of_many_containers_is_no_repeat() {
    let mut scenario = Scenario::new();
    let statuses: Vec<_> = (0..70)
        .map(|n| {
            json!({"name": format!("c{n}"), "restartCount": 1, "lastState":
                {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-22T12:00:09Z"}}})
        })
        .collect();
    let status = json!({"containerStatuses": statuses});
    for revision in 20..30 {
        scenario.observe(seen(pod_with(revision, &status, &json!({}))));
    }
    scenario.tick(3_600);
    let reported = scenario.findings_for(ALICE);
    assert_eq!(reported.len(), 71);
    assert!(reported.iter().all(|(_, repeat)| repeat.is_none()));
}

#[test]
fn a_held_repeat_is_reported_when_its_pause_ends() {
    let mut scenario = with_pod();
    for count in 1..=6 {
        scenario.observe(event("Pod", "ns", "ws", "Unhealthy", "no agent", count, i64::from(count) / 2));
    }
    assert_eq!(scenario.findings_for(ALICE).len(), 2);
    scenario.tick(8);
    assert_eq!(scenario.findings_for(ALICE).len(), 2, "its pause is not over");
    scenario.tick(3);
    let repeat = scenario.findings_for(ALICE).last().unwrap().1.unwrap();
    assert_eq!((repeat.times, repeat.over), (6, SignedDuration::from_secs(3)));
    // The held facts are acknowledged with it.
    scenario.tick(3_600);
    assert_eq!(scenario.findings_for(ALICE).len(), 3);
    assert!(scenario.nothing_is_held());
}

#[test]
fn one_more_after_a_burst_is_reported_before_the_deletion() {
    let mut scenario = with_pod();
    for count in [1, 8, 9] {
        scenario.observe(event("Pod", "ns", "ws", "Unhealthy", "no agent", count, 1));
    }
    let gone = pod_with(11, &json!({}), &json!({"deletionTimestamp": "2026-11-22T12:00:09Z"}));
    scenario.observe(Observation::Gone { scope: PODS, object: gone });
    let reported: Vec<_> =
        scenario.findings_for(ALICE).into_iter().skip(1).map(|(_, repeat)| repeat.map(|it| it.times)).collect();
    assert_eq!(reported, [None, Some(8), Some(9), None]);
    assert!(scenario.nothing_is_held());
}

#[test]
fn a_held_repeat_keeps_its_mark_over_a_restart() {
    let mut scenario = with_pod();
    for count in 1..=3 {
        scenario.observe(event("Pod", "ns", "ws", "Unhealthy", "no agent", count, i64::from(count)));
    }
    let held = scenario.effects.iter().filter_map(|effect| match effect {
        Effect::Hold(fact_id) => Some(fact_id.revision),
        _ => None,
    });
    assert_eq!(held.collect::<Vec<_>>(), [102, 103]);
    let settled =
        scenario.effects.iter().filter(|effect| matches!(effect, Effect::Ack(fact_id) if fact_id.revision == 102));
    assert_eq!(settled.count(), 1);
    // After a pause of minutes, a restart would repeat too many lines.
    let held = |scenario: &Scenario| scenario.effects.iter().filter(|effect| matches!(effect, Effect::Hold(_))).count();
    for count in [20, 40, 60, 80] {
        scenario.observe(event("Pod", "ns", "ws", "Unhealthy", "no agent", count, i64::from(count) * 3));
    }
    let before = held(&scenario);
    scenario.observe(event("Pod", "ns", "ws", "Unhealthy", "no agent", 81, 241));
    assert_eq!(held(&scenario), before);
}

#[test]
fn a_vague_event_is_reported_if_no_better_one_follows() {
    for (kind, name, reason, message) in [
        ("Pod", "ws", "BackOff", "Back-off pulling image \"img\""),
        ("Pod", "ws", "Failed", "Error: ErrImagePull"),
        ("Pod", "ws", "Failed", "Error: secret \"x\" not found"),
        ("Pod", "ws", "BackOff", "Back-off restarting failed container dev in pod ws_ns(u)"),
        ("ReplicaSet", "rs", "SuccessfulCreate", "Created pod: not-selected"),
        ("Pod", "ws", "TaintManagerEviction", "Marking for deletion Pod ns/ws"),
    ] {
        let mut scenario = with_pod();
        scenario.observe(seen(replicaset("rs", "ns", ALICE)));
        let before = scenario.findings_for(ALICE).len();
        scenario.observe(event(kind, "ns", name, reason, message, 1, 1));
        assert_eq!(scenario.findings_for(ALICE).len(), before, "{message}");
        // The kubelet writes a crash loop to the status later than anything else.
        scenario.tick(if reason == "BackOff" && message.contains("restarting") { 21 } else { 6 });
        assert_eq!(scenario.findings_for(ALICE)[before..], [(event_finding(reason, message), None)]);
        assert!(scenario.nothing_is_held());
    }
}

#[test]
fn a_gated_pod_has_a_line_about_its_gate() {
    let message = "Scheduling is blocked due to non-empty scheduling gates";
    let gated = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": message}]});
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "ns", ALICE, &gated)));
    let expected = FindingKind::Unschedulable { message: message.into() };
    assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None), (expected, None)]);
}

#[test]
fn an_autoscaler_that_cannot_help_is_one_cause_whatever_the_number_of_nodes() {
    let mut scenario = with_pod();
    for n in 0..6 {
        let message = format!(
            "pod didn't trigger scale-up: {} node(s) didn't match Pod's node affinity/selector, {n} max node group size reached",
            12 + n
        );
        scenario.observe(event("Pod", "ns", "ws", "NotTriggerScaleUp", &message, 1, n));
    }
    let reported: Vec<_> =
        scenario.findings_for(ALICE).into_iter().skip(1).filter(|(_, repeat)| repeat.is_none()).collect();
    // The second reason is a separate one once it is about a node.
    assert_eq!(reported.len(), 2, "{reported:#?}");
}

#[test]
fn a_start_that_fails_and_a_pod_that_is_refused_are_one_line_each() {
    let message = format!("failed to create containerd task: {} no such file", "x".repeat(2_000));
    let ended = json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": message,
        "finishedAt": "2026-11-22T12:00:09Z"}});
    let failing = json!({"containerStatuses": [{"name": "dev", "restartCount": 0, "lastState": ended,
        "state": {"waiting": {"reason": "RunContainerError", "message": message}}}]});
    let mut scenario = with_pod();
    scenario.observe(seen(pod("ws", "ns", ALICE, &failing)));
    let at = "2026-11-22T12:00:09Z";
    let cut = &message[..900];
    scenario.observe(event_of(json!({
        "metadata": {"namespace": "ns", "uid": "e", "resourceVersion": "99"},
        "involvedObject": {"kind": "Pod", "namespace": "ns", "name": "ws", "uid": "ns/ws",
            "fieldPath": "spec.containers{dev}"},
        "reason": "Failed", "message": format!("Error: {cut}"), "type": "Warning", "count": 1,
        "firstTimestamp": at, "lastTimestamp": at,
    })));
    scenario.tick(3_600);
    assert_eq!(scenario.findings_for(ALICE).len(), 2, "{:#?}", scenario.findings_for(ALICE));

    let mut scenario = with_pod();
    let message = "Predicate NodeAffinity failed";
    scenario.observe(event("Pod", "ns", "ws", "NodeAffinity", message, 1, 1));
    let refused =
        json!({"phase": "Failed", "reason": "NodeAffinity", "message": format!("Pod was rejected: {message}")});
    scenario.observe(seen(pod("ws", "ns", ALICE, &refused)));
    assert_eq!(scenario.findings_for(ALICE).len(), 2, "{:#?}", scenario.findings_for(ALICE));
}

#[test]
fn an_image_pulled_at_each_restart_is_reported_once() {
    let mut scenario = with_pod();
    for n in 0..5 {
        for (reason, message) in [
            ("Pulling", "Pulling image \"img\"".to_owned()),
            ("Pulled", format!("Successfully pulled image \"img\" in {n}39ms (1.{n}78s including waiting)")),
            ("Started", "Container started".to_owned()),
        ] {
            let at = (start() + SignedDuration::from_secs(n * 20)).to_string();
            scenario.observe(event_of(json!({
                "metadata": {"namespace": "ns", "uid": message, "resourceVersion": (100 + n).to_string()},
                "involvedObject": {"kind": "Pod", "namespace": "ns", "name": "ws", "uid": "ns/ws"},
                "reason": reason, "message": message, "type": "Normal", "count": n + 1,
                "firstTimestamp": at, "lastTimestamp": at,
            })));
        }
        scenario.tick(20);
    }
    assert_eq!(scenario.findings_for(ALICE).len(), 4, "{:#?}", scenario.findings_for(ALICE));
}

// With a field selector, which applies to pods only.

#[test]
fn a_workload_is_held_until_a_pod_of_it_is_followed() {
    let pod_of = |replicaset: &str| {
        let mut json = pod_json("ws", "ns", &env(ALICE));
        json["metadata"]["ownerReferences"] =
            json!([{"kind": "ReplicaSet", "name": replicaset, "uid": format!("ns/{replicaset}"), "controller": true}]);
        Object::Pod(Box::new(serde_json::from_value(json).unwrap()))
    };
    let confirming = || Scenario::confirming(Limits::default());
    let mut scenario = confirming();
    scenario.observe(seen(replicaset("rs", "ns", ALICE)));
    scenario.observe(seen(replicaset("other", "ns", BOB)));
    scenario.observe(event("ReplicaSet", "ns", "rs", "R", "created pod", 1, 1));
    assert_eq!(scenario.correlator.tracked(), 0);
    assert!(!scenario.effects.iter().any(|effect| matches!(effect, Effect::Open { .. } | Effect::Finding(_))));
    scenario.observe(seen(pod_of("rs")));
    let about_both =
        [(FindingKind::Created, None), (event_finding("R", "created pod"), None), (FindingKind::Created, None)];
    assert_eq!(scenario.findings_for(ALICE), about_both, "the ReplicaSet's first");
    assert_eq!(scenario.findings_for(BOB), []);
    assert!(scenario.nothing_is_held());

    // The pod may come first, and a workload may be deleted before it has one.
    let mut scenario = confirming();
    scenario.observe(seen(pod_of("rs")));
    scenario.observe(seen(replicaset("rs", "ns", ALICE)));
    assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None), (FindingKind::Created, None)]);

    let mut scenario = confirming();
    scenario.observe(seen(replicaset("rs", "ns", ALICE)));
    scenario.observe(seen(replicaset("deleted", "ns", BOB)));
    scenario.observe(Observation::Gone { scope: REPLICASETS, object: replicaset("deleted", "ns", BOB) });
    scenario.observe(Observation::Relisting(REPLICASETS));
    scenario.observe(Observation::Synced(REPLICASETS));
    scenario.observe(seen(pod_of("rs")));
    assert_eq!(
        scenario.findings_for(ALICE),
        [(FindingKind::Created, None)],
        "the list no longer showed the ReplicaSet"
    );
}

#[test]
fn the_number_of_held_workloads_is_limited() {
    let mut scenario = Scenario::confirming(Limits { unconfirmed: 1, ..Limits::default() });
    for name in ["a", "a", "b"] {
        scenario.observe(seen(replicaset(name, "ns", ALICE)));
    }
    assert_eq!(scenario.counted(Counted::TooMany), 1);
}

/// Creates a pod with this token that names a workload of another owner as its controller.
fn forged(name: &str, namespace: &str, token: &str, workload: &str) -> Observation {
    let mut json = pod_json(name, namespace, &env(token));
    json["metadata"]["ownerReferences"] =
        json!([{"kind": "ReplicaSet", "name": "rs", "uid": workload, "controller": true}]);
    json["status"] = json!({"phase": "Failed", "reason": "Evicted", "message": "forged"});
    seen(Object::Pod(Box::new(serde_json::from_value(json).unwrap())))
}

#[test]
fn invariant_1_a_forged_owner_gets_no_line_of_the_pod() {
    for namespace in ["evil", "ns"] {
        let mut scenario = Scenario::new();
        scenario.observe(seen(replicaset("rs", "ns", ALICE)));
        scenario.observe(event("ReplicaSet", "ns", "rs", "FailedCreate", "pods \"rs-\" is forbidden: no", 1, 0));
        scenario.tick(60);
        let before = scenario.findings_for(ALICE);
        for n in 0..40 {
            scenario.observe(forged(&format!("evil-{n}"), namespace, BOB, "ns/rs"));
            scenario.tick(1);
        }
        scenario.tick(100_000);
        assert_eq!(scenario.findings_for(ALICE), before, "{namespace}");
        assert!(scenario.findings_for(BOB).len() >= 80, "{namespace}");
    }
}

#[test]
fn invariant_1_a_forged_owner_does_not_confirm_a_workload_elsewhere() {
    let mut scenario = Scenario::confirming(Limits::default());
    scenario.observe(forged("early", "evil", BOB, "ns/rs"));
    scenario.observe(seen(replicaset("rs", "ns", ALICE)));
    scenario.observe(forged("late", "evil", BOB, "ns/rs"));
    assert_eq!(scenario.findings_for(ALICE), []);
    scenario.observe(forged("its-own", "ns", ALICE, "ns/rs"));
    assert!(scenario.findings_for(ALICE).contains(&(FindingKind::Created, None)));
}
