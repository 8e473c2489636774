//! Conditions of workloads: a controller gives up, or cannot create a pod.

use super::*;

const JOBS: ScopeId = ScopeId(3);
const DEPLOYMENTS: ScopeId = ScopeId(4);

fn workload(kind: Kind, name: &str, token: &str, conditions: &serde_json::Value) -> Observation {
    let json = json!({
        "metadata": {"name": name, "namespace": "ns", "uid": format!("ns/{name}"), "resourceVersion": "9",
            "generation": 1, "creationTimestamp": "2026-11-22T12:00:01Z"},
        "spec": {"template": {"spec": {"containers": [{"name": "dev", "env": [env(token)]}]}}},
        "status": {"observedGeneration": 1, "conditions": conditions},
    });
    let scope = match kind {
        Kind::Deployment => DEPLOYMENTS,
        Kind::Job => JOBS,
        _ => REPLICASETS,
    };
    let object = Object::Workload(kind, Box::new(serde_json::from_value(json).unwrap()));
    Observation::Seen { scope, object, how: Arrival::Watched }
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> serde_json::Value {
    json!([{"type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-22T12:00:05Z"}])
}

fn timed_out(set: &str) -> serde_json::Value {
    let message = format!("ReplicaSet \"{set}\" has timed out progressing.");
    condition("Progressing", "False", "ProgressDeadlineExceeded", &message)
}

#[test]
fn a_deployment_is_not_announced_and_reports_its_deadline_once() {
    let mut scenario = Scenario::new();
    scenario.observe(workload(Kind::Deployment, "ws", ALICE, &json!([])));
    assert_eq!(scenario.findings_for(ALICE), []);
    for _ in 0..3 {
        scenario.observe(workload(Kind::Deployment, "ws", ALICE, &timed_out("ws-74fc974fd4")));
    }
    let message = "ReplicaSet \"ws-74fc974fd4\" has timed out progressing.";
    assert_eq!(scenario.findings_for(ALICE), [(event_finding("ProgressDeadlineExceeded", message), None)]);
    let Observation::Seen { scope, object, .. } = workload(Kind::Deployment, "ws", ALICE, &json!([])) else {
        unreachable!()
    };
    scenario.observe(Observation::Gone { scope, object });
    assert_eq!(scenario.findings_for(ALICE).len(), 1);
    assert!(scenario.effects.contains(&Effect::Ended(token(ALICE))));
}

#[test]
fn the_agent_of_the_next_template_reads_about_its_own_rollout() {
    let mut scenario = Scenario::new();
    scenario.observe(workload(Kind::Deployment, "ws", ALICE, &timed_out("ws-74fc974fd4")));
    scenario.observe(workload(Kind::Deployment, "ws", BOB, &json!([])));
    scenario.observe(workload(Kind::Deployment, "ws", BOB, &timed_out("ws-5c5df6c99b")));
    assert_eq!((scenario.findings_for(ALICE).len(), scenario.findings_for(BOB).len()), (1, 1));
}

#[test]
fn a_deployment_changes_nothing_for_its_replica_sets() {
    let of_deployment = |name: &str, token: &str| {
        let Object::Workload(kind, mut set) = replicaset(name, "ns", token) else { unreachable!() };
        let owner = json!([{"kind": "Deployment", "name": "ws", "uid": "ns/ws", "controller": true}]);
        set.metadata.owner_references = serde_json::from_value(owner).unwrap();
        seen(Object::Workload(kind, set))
    };
    let mut scenario = Scenario::new();
    scenario.observe(workload(Kind::Deployment, "ws", ALICE, &json!([])));
    let agents: Vec<String> = (1..8).map(|n| ALICE.replacen('1', &n.to_string(), 1)).collect();
    for (n, agent) in agents.iter().enumerate() {
        scenario.observe(of_deployment(&format!("ws-{n}"), agent));
        scenario.observe(event("ReplicaSet", "ns", &format!("ws-{n}"), "FailedCreate", "exceeded quota: q", 1, 2));
        assert_eq!(scenario.findings_for(agent).len(), 2, "each start has its own lines");
    }
}

#[test]
fn a_condition_and_its_event_are_one_line() {
    let jobs = |first_event: bool| {
        let mut scenario = Scenario::new();
        let event = || event("Job", "ns", "ws", "BackoffLimitExceeded", "Job has reached the limit", 1, 5);
        let failed = condition("Failed", "True", "BackoffLimitExceeded", "Job has reached the limit");
        scenario.observe(workload(Kind::Job, "ws", ALICE, &json!([])));
        if first_event {
            scenario.observe(event());
        }
        scenario.observe(workload(Kind::Job, "ws", ALICE, &failed));
        scenario.observe(event());
        scenario.findings_for(ALICE)
    };
    let failed = event_finding("BackoffLimitExceeded", "Job has reached the limit");
    for first_event in [true, false] {
        assert_eq!(jobs(first_event), [(FindingKind::Created, None), (failed.clone(), None)]);
    }
    let refusals = |first_event: bool| {
        let mut scenario = Scenario::new();
        let denied = "pods \"ws-vgfrf\" is forbidden: exceeded quota: q";
        let event = || event("ReplicaSet", "ns", "ws", "FailedCreate", &format!("Error creating: {denied}"), 1, 5);
        scenario.observe(seen(replicaset("ws", "ns", ALICE)));
        if first_event {
            scenario.observe(event());
        }
        scenario.observe(workload(
            Kind::ReplicaSet,
            "ws",
            ALICE,
            &condition("ReplicaFailure", "True", "FailedCreate", denied),
        ));
        scenario.observe(event());
        scenario.findings_for(ALICE).len()
    };
    assert_eq!((refusals(true), refusals(false)), (2, 2));
}

#[test]
fn a_condition_reported_before_a_restart_is_not_reported_again() {
    let mut first = Scenario::new();
    first.observe(workload(Kind::Deployment, "ws", ALICE, &timed_out("ws-74fc974fd4")));
    let known = first.effects.iter().find_map(|effect| match effect {
        Effect::Known { subject, facts, .. } => Some([(*subject, facts.clone())].into()),
        _ => None,
    });
    let mut second = Scenario::new();
    let from = Checkpoint { known: known.unwrap(), ..Checkpoint::default() };
    second.observe(Observation::Started { scope: DEPLOYMENTS, from: Box::new(from) });
    let Observation::Seen { scope, object, .. } = workload(Kind::Deployment, "ws", ALICE, &timed_out("ws-74fc974fd4"))
    else {
        unreachable!()
    };
    second.observe(Observation::Seen { scope, object, how: Arrival::ListedChanged });
    assert_eq!(second.findings_for(ALICE), []);
}

/// Creates a workload or pod of a prebuilt workspace, with the user in its labels.
fn owned(kind: Kind, name: &str, owner: Option<(&str, &str)>, user: &str) -> Observation {
    let mut observation = if kind == Kind::Pod {
        seen(pod(name, "ns", ALICE, &json!({})))
    } else {
        workload(kind, name, ALICE, &json!([]))
    };
    let Observation::Seen { object, .. } = &mut observation else { unreachable!() };
    let meta = match object {
        Object::Pod(pod) => &mut pod.metadata,
        Object::Workload(_, workload) => &mut workload.metadata,
    };
    meta.labels.insert("com.coder.user.username".into(), user.into());
    let owners = owner
        .map(|(kind, name)| json!([{"kind": kind, "name": name, "uid": format!("ns/{name}"), "controller": true}]));
    meta.owner_references = owners.map(|owners| serde_json::from_value(owners).unwrap()).unwrap_or_default();
    observation
}

#[test]
fn a_claimed_prebuilt_workspace_changes_its_owner_and_its_agent() {
    let mut scenario = Scenario::new();
    scenario.observe(owned(Kind::Deployment, "ws", None, "prebuilds"));
    scenario.observe(owned(Kind::ReplicaSet, "ws-1", Some(("Deployment", "ws")), "prebuilds"));
    scenario.observe(owned(Kind::Pod, "ws-1-x", Some(("ReplicaSet", "ws-1")), "prebuilds"));
    let owner = |scenario: &Scenario| {
        let mut starts = scenario.effects.iter().filter_map(|effect| match effect {
            Effect::StartFailed { start, .. } => Some(start.owner.user.clone()),
            _ => None,
        });
        starts.next_back()
    };
    scenario.observe(event("Pod", "ns", "ws-1-x", "FailedMount", "timed out", 1, 2));
    assert_eq!(owner(&scenario).as_deref(), Some("prebuilds"));
    assert!(!scenario.effects.contains(&Effect::Claimed(token(ALICE))));
    // The pod's labels do not change.
    scenario.observe(owned(Kind::Deployment, "ws", None, "alice"));
    assert!(scenario.effects.contains(&Effect::Claimed(token(ALICE))));
    scenario.observe(event("Pod", "ns", "ws-1-x", "Failed", "Error: no such command", 1, 3));
    scenario.tick(10);
    assert_eq!(owner(&scenario).as_deref(), Some("alice"));

    let mut scenario = Scenario::new();
    scenario.observe(owned(Kind::Pod, "ws", None, "prebuilds"));
    scenario.observe(owned(Kind::Pod, "ws", None, "bob"));
    scenario.observe(event("Pod", "ns", "ws", "FailedMount", "timed out", 1, 2));
    assert_eq!(owner(&scenario).as_deref(), Some("bob"));
}
