//! Events about a pod's volume claims and its node.

use super::*;
use crate::object::Event;

/// Creates a pod with one claim and one ephemeral volume; on a node if `node` is not empty.
fn workspace(name: &str, token: &str, node: &str) -> Observation {
    let mut json = pod_json(name, "ns", &env(token));
    json["spec"]["volumes"] = json!([{"name": "home", "persistentVolumeClaim": {"claimName": format!("home-{name}")}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}]);
    json["spec"]["nodeName"] = node.into();
    if !node.is_empty() {
        json["status"] = json!({"conditions": [{"type": "PodScheduled", "status": "True",
            "lastTransitionTime": "2026-11-22T12:00:03Z"}]});
    }
    seen(Object::Pod(Box::new(serde_json::from_value(json).unwrap())))
}

fn about(kind: &str, name: &str, reason: &str, message: &str, count: u32, second: i64) -> Observation {
    let Observation::Event { scope, mut event } = event(kind, "ns", name, reason, message, count, second) else {
        unreachable!()
    };
    if kind == "Node" {
        event.metadata.namespace = "default".into();
        event.involved_object.namespace.clear();
    }
    event.first_timestamp = Some(start() + SignedDuration::from_secs(if count > 1 { 4 } else { second }));
    Observation::Event { scope, event }
}

fn edited(observation: Observation, edit: impl FnOnce(&mut Event)) -> Observation {
    let Observation::Event { scope, mut event } = observation else { unreachable!() };
    edit(&mut event);
    Observation::Event { scope, event }
}

fn reasons(scenario: &Scenario, agent: &str) -> Vec<String> {
    let reason = |(kind, repeat): (FindingKind, Option<Repeat>)| match kind {
        FindingKind::Event { reason, .. } => {
            Some(repeat.map_or_else(|| reason.clone(), |repeat| format!("{reason} x{}", repeat.times)))
        }
        _ => None,
    };
    scenario.findings_for(agent).into_iter().filter_map(reason).collect()
}

#[test]
fn invariant_1_an_event_of_a_claim_reaches_the_pods_that_name_it() {
    let mut scenario = Scenario::new();
    scenario.observe(workspace("alice", ALICE, ""));
    scenario.observe(workspace("bob", BOB, ""));
    scenario.observe(about("PersistentVolumeClaim", "home-alice", "ProvisioningFailed", "no driver", 1, 5));
    scenario.observe(about("PersistentVolumeClaim", "alice-scratch", "ProvisioningFailed", "no driver", 1, 6));
    scenario.observe(about("PersistentVolumeClaim", "elsewhere", "ProvisioningFailed", "no driver", 1, 7));
    let claim = event_finding("ProvisioningFailed", "Claim home-alice: no driver");
    let volume = event_finding("ProvisioningFailed", "Volume scratch: no driver");
    assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None), (claim, None), (volume, None)]);
    assert_eq!(reasons(&scenario, BOB), [] as [&str; 0]);
    assert_eq!(scenario.counted(Counted::NonWorkspace), 1);
}

#[test]
fn invariant_1_a_claim_of_that_name_elsewhere_is_another() {
    let mut scenario = Scenario::new();
    scenario.observe(workspace("alice", ALICE, ""));
    let failed = || about("PersistentVolumeClaim", "home-alice", "ProvisioningFailed", "m", 1, 5);
    scenario.observe(edited(failed(), |event| event.metadata.namespace = "other".into()));
    scenario.observe(edited(failed(), |event| {
        event.metadata.namespace = "other".into();
        event.involved_object.namespace = "other".into();
    }));
    // Controllers always set a UID.
    scenario.observe(edited(failed(), |event| event.involved_object.uid = None));
    // An earlier claim of that name.
    scenario.observe(edited(failed(), |event| event.last_timestamp = Some(start() - SignedDuration::from_secs(3))));
    assert_eq!(reasons(&scenario, ALICE), [] as [&str; 0]);
}

#[test]
fn invariant_1_an_event_of_a_node_reaches_the_pods_that_are_on_it() {
    let mut scenario = Scenario::new();
    scenario.observe(workspace("alice", ALICE, "node-1"));
    scenario.observe(workspace("bob", BOB, "node-2"));
    scenario.observe(about("Node", "node-1", "NodeNotReady", "Node node-1 status is now: NodeNotReady", 1, 9));
    scenario.observe(about("Node", "node-1", "NodeHasSufficientMemory", "m", 1, 9));
    // Forged in the workspaces' namespace.
    let forged = about("Node", "node-1", "Rebooted", "m", 1, 9);
    scenario.observe(edited(forged, |event| event.metadata.namespace = "ns".into()));
    assert_eq!(reasons(&scenario, ALICE), ["NodeNotReady"]);
    assert_eq!(reasons(&scenario, BOB), [] as [&str; 0]);
}

#[test]
fn a_nodes_event_from_before_or_after_the_pods_stay_is_not_its_own() {
    let mut scenario = Scenario::new();
    scenario.observe(workspace("alice", ALICE, "node-1"));
    scenario.observe(about("Node", "node-1", "Rebooted", "m", 1, 1));
    assert_eq!(reasons(&scenario, ALICE), [] as [&str; 0]);
    let Observation::Seen { object: Object::Pod(mut pod), .. } = workspace("alice", ALICE, "node-1") else {
        unreachable!()
    };
    pod.status.phase = "Failed".into();
    scenario.now += SignedDuration::from_secs(20);
    scenario.observe(seen(Object::Pod(pod)));
    scenario.observe(about("Node", "node-1", "SystemOOM", "m", 1, 19));
    scenario.observe(about("Node", "node-1", "Rebooted", "m", 1, 30));
    assert_eq!(reasons(&scenario, ALICE), ["SystemOOM"]);
}

#[test]
fn a_pod_that_left_the_selection_gets_no_line() {
    let mut scenario = Scenario::new();
    scenario.observe(workspace("alice", ALICE, "node-1"));
    let Observation::Seen { object, .. } = workspace("alice", ALICE, "node-1") else { unreachable!() };
    scenario.observe(Observation::Gone { scope: PODS, object });
    scenario.observe(about("Node", "node-1", "NodeNotReady", "m", 1, 9));
    scenario.confirm(Presence::Unselected);
    scenario.observe(about("Node", "node-1", "Rebooted", "m", 1, 10));
    assert_eq!(reasons(&scenario, ALICE), [] as [&str; 0]);
}

#[test]
fn one_cause_of_a_node_is_one_line_and_a_count() {
    let mut scenario = Scenario::new();
    scenario.observe(workspace("alice", ALICE, "node-1"));
    for pid in 0..9 {
        let message = format!("System OOM encountered, victim process: node, pid: 47{pid}");
        let oom = about("Node", "node-1", "SystemOOM", &message, 1, 9 + pid);
        scenario.observe(oom);
    }
    scenario.observe(about("Node", "node-1", "OOMKilling", "Killed process 4711", 1, 20));
    scenario.tick(120);
    let lines = reasons(&scenario, ALICE);
    assert_eq!(lines.first().map(String::as_str), Some("SystemOOM"), "{lines:?}");
    assert!(lines.len() <= 3 && lines.last().unwrap().ends_with(" x10"), "{lines:?}");
}

#[test]
fn a_volume_that_waits_for_a_node_is_one_line() {
    let mut scenario = Scenario::new();
    scenario.observe(workspace("alice", ALICE, ""));
    let claim = |reason, count, second| about("PersistentVolumeClaim", "home-alice", reason, "m", count, second);
    scenario.observe(claim("WaitForFirstConsumer", 1, 5));
    for (count, second) in [(1, 20), (2, 35), (9, 140)] {
        scenario.observe(claim("WaitForPodScheduled", count, second));
        scenario.tick(60);
    }
    assert_eq!(reasons(&scenario, ALICE), ["WaitForFirstConsumer"]);
}

#[test]
fn node_events_from_before_the_pod_do_not_count() {
    let mut scenario = Scenario::new();
    scenario.observe(workspace("alice", ALICE, "node-1"));
    let since_long_ago = |count, second| {
        let event = about("Node", "node-1", "SystemOOM", "m", count, second);
        edited(event, |event| event.first_timestamp = Some(start() - SignedDuration::from_hours(9)))
    };
    scenario.observe(since_long_ago(70, 9));
    scenario.tick(30);
    scenario.observe(since_long_ago(71, 40));
    assert_eq!(reasons(&scenario, ALICE), ["SystemOOM", "SystemOOM x2"]);
}

#[test]
fn invariant_4_a_flood_about_a_node_costs_its_pods_little() {
    let mut scenario = Scenario::new();
    for n in 0..100 {
        scenario.observe(workspace(&format!("ws-{n}"), ALICE, "node-1"));
    }
    for n in 0..10_000 {
        scenario.observe(about("Node", "node-1", "SystemOOM", &format!("pid {n}"), 1, 9));
        scenario.observe(about("Node", "node-1", "Rebooted", "m", n + 1, 9));
    }
    let effects = scenario.effects.len();
    assert!(effects < 100 * 100 + 2 * 20_000, "{effects}");
    assert!(scenario.counted(Counted::Overflow) > 9_900);
    scenario.tick(300);
    scenario.observe(about("Node", "node-1", "NodeNotReady", "m", 1, 309));
    assert!(reasons(&scenario, ALICE).contains(&"NodeNotReady".to_owned()));
}

#[test]
fn invariant_4_kept_events_are_bounded() {
    let mut scenario = Scenario::new();
    for n in 0..10_000 {
        scenario.observe(about("PersistentVolumeClaim", &format!("claim-{n}"), "ProvisioningFailed", "m", 1, 5));
    }
    scenario.observe(about("PersistentVolumeClaim", "home-alice", "ProvisioningFailed", "m", 1, 5));
    scenario.observe(workspace("alice", ALICE, ""));
    assert_eq!(reasons(&scenario, ALICE), ["ProvisioningFailed"]);
    scenario.tick(121);
    scenario.observe(workspace("bob", BOB, ""));
    assert!(scenario.nothing_is_held());
}

#[test]
fn after_a_restart_an_event_goes_to_the_pods_that_lack_it() {
    let pending = [(Uid::parse("ns/bob").unwrap(), 105)].into();
    let from = Checkpoint { revision: 200, pending, ..Checkpoint::default() };
    let mut scenario = Scenario::with(Limits::default(), from);
    for (name, token) in [("alice", ALICE), ("bob", BOB)] {
        let Observation::Seen { scope, object, .. } = workspace(name, token, "node-1") else { unreachable!() };
        scenario.observe(Observation::Seen { scope, object, how: Arrival::ListedKnown });
    }
    scenario.observe(about("Node", "node-1", "Rebooted", "m", 1, 4));
    scenario.observe(about("Node", "node-1", "SystemOOM", "m", 1, 9));
    scenario.observe(Observation::Synced(EVENTS));
    scenario.observe(about("Node", "node-1", "NodeNotReady", "m", 1, 150));
    assert_eq!(reasons(&scenario, ALICE), ["NodeNotReady"]);
    assert_eq!(reasons(&scenario, BOB), ["SystemOOM", "NodeNotReady"]);
}

/// Returns the streams of a workspace with a late volume and a failing node.
fn late_volume_and_lost_node() -> [Vec<Observation>; 2] {
    let claim =
        |reason, message, count, second| about("PersistentVolumeClaim", "home-alice", reason, message, count, second);
    let pods = vec![workspace("alice", ALICE, ""), workspace("alice", ALICE, "node-1")];
    let events = vec![
        claim("ExternalProvisioning", "Waiting for a volume to be created", 1, 4),
        claim("ProvisioningFailed", "no driver", 1, 5),
        claim("ProvisioningFailed", "quota exceeded", 1, 6),
        about("Node", "node-1", "NodeNotReady", "Node node-1 status is now: NodeNotReady", 1, 9),
        about("Node", "node-1", "Rebooted", "m", 1, 10),
    ];
    [pods, events]
}

proptest! {
    /// Invariant 6: an Event of a claim or node may come before the pod, or before its node is known.
    #[test]
    fn invariant_6_any_order_of_pods_and_dependencies_gives_the_same_lines(
        picks in proptest::collection::vec(0_usize..2, 10), wait in 0_i64..60,
    ) {
        let mut scenario = Scenario::new();
        let mut streams = late_volume_and_lost_node().map(Vec::into_iter);
        for stream in picks.into_iter().chain([0, 0, 1, 1, 1, 1, 1]) {
            if let Some(observation) = streams[stream].next() {
                scenario.observe(observation);
                scenario.tick(wait.min(5));
            }
        }
        let mut lines = reasons(&scenario, ALICE);
        lines.sort();
        let all = ["ExternalProvisioning", "NodeNotReady", "ProvisioningFailed", "ProvisioningFailed", "Rebooted"];
        prop_assert_eq!(lines, all);
        prop_assert!(scenario.nothing_is_held());
    }
}
