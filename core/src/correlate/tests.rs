//! Histories of workspaces, observed in every order.

mod dependencies;
mod mixed;
mod recovery;
mod replays;
mod rules;
mod storms;
mod workloads;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    checkpoint::Checkpoint,
    extract::TokenSource,
    fact_id::ScopeId,
    finding::{Finding, FindingKind, Repeat},
    identity::{Subject, Uid},
    registration::ANNOTATION,
    resource::Kind,
    token::AgentToken,
};

const ALICE: &str = "11111111-1111-4111-8111-111111111111";
const BOB: &str = "22222222-2222-4222-8222-222222222222";
/// Outcomes of an observed fact.
const OUTCOMES: [Counted; 8] = [
    Counted::Reported,
    Counted::Known,
    Counted::OtherKind,
    Counted::NonWorkspace,
    Counted::Aged,
    Counted::Overflow,
    Counted::Collapsed,
    Counted::ForeignNamespace,
];
const EVENTS: ScopeId = ScopeId(0);
const PODS: ScopeId = ScopeId(1);
const REPLICASETS: ScopeId = ScopeId(2);

fn start() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn token(text: &str) -> AgentToken {
    AgentToken::parse(text).unwrap()
}

/// Pending registrations by name.
#[derive(Default)]
struct Book {
    claims: Mutex<HashSet<String>>,
}

impl Registrations for Book {
    fn is_registered(&self, subject: &Subject) -> bool {
        self.claims.lock().unwrap().contains(&*subject.name)
    }

    fn confirm(&self, subject: &Subject, _: Option<Uid>) -> bool {
        self.is_registered(subject)
    }
}

struct Scenario {
    correlator: Correlator,
    book: Arc<Book>,
    now: Timestamp,
    effects: Vec<Effect>,
}

impl Scenario {
    fn new() -> Self {
        Self::with(Limits::default(), Checkpoint::default())
    }

    fn with(limits: Limits, from: Checkpoint) -> Self {
        Self::of(from, |book| Correlator::new(book, limits, true))
    }

    /// Creates a scenario in which workloads are held until one of their pods is tracked.
    fn confirming(limits: Limits) -> Self {
        Self::of(Checkpoint::default(), |book| Correlator::new(book, limits, true).confirming_workloads())
    }

    fn of(from: Checkpoint, new: impl FnOnce(Arc<Book>) -> Correlator) -> Self {
        let book = Arc::new(Book::default());
        let since = from.created_since.max(start());
        let from = Checkpoint { created_since: since, status_until: since, known_is_partial: true, ..from };
        let mut correlator = new(book.clone());
        for scope in [EVENTS, PODS, REPLICASETS] {
            correlator.observe(start(), Observation::Started { scope, from: Box::new(from.clone()) });
        }
        Self { correlator, book, now: start(), effects: Vec::new() }
    }

    /// Returns the effects, without the count of each fact.
    fn observe(&mut self, observation: Observation) -> Vec<Effect> {
        let mut effects = self.correlator.observe(self.now, observation);
        self.effects.extend(effects.iter().cloned());
        effects.retain(|effect| *effect != Effect::Count(Counted::Observed));
        effects
    }

    fn tick(&mut self, seconds: i64) -> Vec<Effect> {
        self.now += SignedDuration::from_secs(seconds);
        let effects = self.correlator.tick(self.now);
        self.effects.extend(effects.iter().cloned());
        effects
    }

    /// Answers each presence check that is not answered yet.
    fn confirm(&mut self, presence: Presence) {
        let asked = self.effects.iter().filter_map(|effect| match effect {
            Effect::CheckPresence(subject) => Some(subject.clone()),
            _ => None,
        });
        for subject in asked.collect::<Vec<_>>() {
            self.observe(Observation::PresenceChecked { subject, presence: Ok(presence) });
        }
    }

    fn findings(&self) -> Vec<&Finding> {
        let findings = self.effects.iter().filter_map(|effect| match effect {
            Effect::Finding(finding) => Some(finding),
            _ => None,
        });
        findings.collect()
    }

    /// Returns the findings for an agent, without the times and fact ids that differ from order to order.
    fn findings_for(&self, agent: &str) -> Vec<(FindingKind, Option<Repeat>)> {
        let agent = token(agent);
        let mine = self.findings().into_iter().filter(|finding| finding.agents.contains(&agent));
        mine.map(|finding| (finding.kind.clone(), finding.repeat)).collect()
    }

    fn counted(&self, what: Counted) -> usize {
        self.effects.iter().filter(|effect| **effect == Effect::Count(what)).count()
    }

    /// True if every held fact was released again.
    fn nothing_is_held(&self) -> bool {
        let count = |held: bool| {
            let matching = self.effects.iter().filter(|effect| match effect {
                Effect::Hold(_) => held,
                Effect::Ack(_) => !held,
                _ => false,
            });
            matching.count()
        };
        count(true) == count(false)
    }
}

impl Drop for Scenario {
    /// Invariant 5: each fact of each scenario is counted once, by its outcome.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let ended: usize = OUTCOMES.into_iter().map(|outcome| self.counted(outcome)).sum();
            assert_eq!(self.counted(Counted::Observed), ended + self.correlator.waiting());
        }
    }
}

fn pod_json(name: &str, namespace: &str, env: &serde_json::Value) -> serde_json::Value {
    json!({
        "metadata": {"name": name, "namespace": namespace, "uid": format!("{namespace}/{name}"),
            "resourceVersion": "10", "creationTimestamp": "2026-11-22T12:00:01Z"},
        "spec": {"containers": [{"name": "dev", "image": "img", "env": [env],
            "resources": {"limits": {"memory": "1Gi"}}}]},
    })
}

fn env(token: &str) -> serde_json::Value {
    json!({"name": "CODER_AGENT_TOKEN", "value": token})
}

fn pod(name: &str, namespace: &str, token: &str, status: &serde_json::Value) -> Object {
    let mut json = pod_json(name, namespace, &env(token));
    json["status"] = status.clone();
    Object::Pod(Box::new(serde_json::from_value(json).unwrap()))
}

fn replicaset(name: &str, namespace: &str, token: &str) -> Object {
    let json = json!({
        "metadata": {"name": name, "namespace": namespace, "uid": format!("{namespace}/{name}"),
            "resourceVersion": "9", "creationTimestamp": "2026-11-22T12:00:01Z"},
        "spec": {"template": {"spec": {"containers": [{"name": "dev", "env": [env(token)]}]}}},
    });
    Object::Workload(Kind::ReplicaSet, Box::new(serde_json::from_value(json).unwrap()))
}

fn seen(object: Object) -> Observation {
    let scope = if matches!(object, Object::Pod(_)) { PODS } else { REPLICASETS };
    Observation::Seen { scope, object, how: Arrival::Watched }
}

fn event(kind: &str, namespace: &str, name: &str, reason: &str, message: &str, count: u32, second: i64) -> Observation {
    let at = start() + SignedDuration::from_secs(second);
    let event = json!({
        "metadata": {"name": "e", "namespace": namespace, "uid": format!("{kind}{name}{reason}{message}"),
            "resourceVersion": (100 + second).to_string()},
        "involvedObject": {"kind": kind, "namespace": namespace, "name": name, "uid": format!("{namespace}/{name}")},
        "reason": reason, "message": message, "type": "Warning", "count": count,
        "firstTimestamp": start().to_string(), "lastTimestamp": at.to_string(),
    });
    Observation::Event { scope: EVENTS, event: Box::new(serde_json::from_value(event).unwrap()) }
}

fn event_finding(reason: &str, message: &str) -> FindingKind {
    FindingKind::Event { reason: reason.into(), message: message.into(), warning: true }
}

#[test]
fn events_before_their_pod_wait_for_it_and_follow_it() {
    let mut scenario = Scenario::new();
    let effects = scenario.observe(event("Pod", "ns", "ws", "Scheduled", "assigned", 1, 1));
    assert!(effects.iter().all(|effect| matches!(effect, Effect::Hold(_))), "{effects:?}");
    scenario.observe(seen(pod("ws", "ns", ALICE, &json!({}))));
    assert_eq!(
        scenario.findings_for(ALICE),
        [(FindingKind::Created, None), (event_finding("Scheduled", "assigned"), None)]
    );
    assert!(scenario.nothing_is_held());
}

#[test]
fn a_claimed_object_is_looked_up_with_its_first_event_and_another_after_a_while() {
    let mut scenario = Scenario::new();
    scenario.book.claims.lock().unwrap().insert("claimed".into());
    let effects = scenario.observe(event("ReplicaSet", "ns", "claimed", "FailedCreate", "no", 1, 1));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::LookUp(_))));
    let effects = scenario.observe(event("ReplicaSet", "ns", "unclaimed", "FailedCreate", "no", 1, 1));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::LookUp(_))));
    assert_eq!(scenario.tick(1), []);
    let effects = scenario.tick(1);
    assert!(matches!(&effects[..], [Effect::LookUp(subject)] if &*subject.name == "unclaimed"), "{effects:?}");
    assert_eq!(scenario.tick(1), []);
}

#[test]
fn invariant_1_two_pods_of_one_name_in_two_namespaces_keep_their_lines_apart() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "alice", ALICE, &json!({}))));
    scenario.observe(seen(pod("ws", "bob", BOB, &json!({}))));
    scenario.observe(event("Pod", "alice", "ws", "R", "for alice", 1, 1));
    scenario.observe(event("Pod", "bob", "ws", "R", "for bob", 1, 1));
    let gone = pod("ws", "alice", ALICE, &json!({}));
    scenario.observe(Observation::Gone { scope: PODS, object: gone });
    scenario.confirm(Presence::Absent);
    assert_eq!(
        scenario.findings_for(ALICE),
        [(FindingKind::Created, None), (event_finding("R", "for alice"), None), (FindingKind::Deleted, None)]
    );
    assert_eq!(scenario.findings_for(BOB), [(FindingKind::Created, None), (event_finding("R", "for bob"), None)]);
}

#[test]
fn invariant_1_an_object_is_identified_by_its_uid() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("ws", "ns", ALICE, &json!({}))));
    // The Event of the next pod of that name must not go to the earlier pod's agent.
    let Observation::Event { scope, mut event } = event("Pod", "ns", "ws", "R", "for the next", 1, 1) else {
        unreachable!()
    };
    event.involved_object.uid = Uid::parse("next");
    scenario.observe(Observation::Event { scope, event });
    assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None)]);
}

#[test]
fn an_event_of_a_stranger_is_dropped_and_counted() {
    let mut scenario = Scenario::new();
    scenario.observe(event("Pod", "ns", "other", "R", "m", 1, 1));
    let other = json!({"name": "PATH", "value": "/"});
    let stranger = serde_json::from_value(pod_json("other", "ns", &other)).unwrap();
    scenario.observe(seen(Object::Pod(Box::new(stranger))));
    scenario.observe(event("Pod", "ns", "other", "R", "m", 2, 2));
    assert!(scenario.findings().is_empty());
    assert_eq!(scenario.counted(Counted::NonWorkspace), 2);
    assert!(scenario.nothing_is_held());
}

#[test]
fn a_pod_with_a_token_that_is_no_uuid_is_counted_once() {
    let mut scenario = Scenario::new();
    for _ in 0..3 {
        scenario.observe(seen(pod("ws", "ns", "hunter2", &json!({}))));
    }
    assert_eq!(scenario.counted(Counted::NotAToken), 1);
    assert!(scenario.findings().is_empty());
}

#[test]
fn invariant_4_waiting_events_are_bounded_and_age() {
    let mut scenario = Scenario::with(Limits { waiting: 10, ..Limits::default() }, Checkpoint::default());
    for n in 0..100 {
        scenario.observe(event("Pod", "ns", &format!("p{n}"), "R", "m", 1, 1));
    }
    assert_eq!(scenario.correlator.waiting(), 10);
    assert_eq!(scenario.counted(Counted::Overflow), 90);
    scenario.tick(200);
    assert_eq!(scenario.correlator.waiting(), 0);
    assert_eq!(scenario.counted(Counted::Aged), 10);
    assert!(scenario.nothing_is_held());
}

#[test]
fn invariant_4_followed_objects_are_bounded() {
    let mut scenario = Scenario::with(Limits { tracked: 2, ..Limits::default() }, Checkpoint::default());
    for n in 0..5 {
        scenario.observe(seen(pod(&format!("p{n}"), "ns", ALICE, &json!({}))));
    }
    assert_eq!(scenario.correlator.tracked(), 2);
    assert_eq!(scenario.counted(Counted::TooMany), 3);
}

#[test]
fn objects_missing_from_a_relist_are_gone_and_listed_ones_known() {
    let mut scenario = Scenario::new();
    scenario.observe(seen(pod("stays", "ns", ALICE, &json!({}))));
    scenario.observe(seen(pod("goes", "ns", BOB, &json!({}))));
    scenario.observe(Observation::Relisting(PODS));
    let listed = pod("stays", "ns", ALICE, &json!({}));
    scenario.observe(Observation::Seen { scope: PODS, object: listed, how: Arrival::ListedChanged });
    scenario.observe(Observation::Synced(PODS));
    scenario.confirm(Presence::Absent);
    assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None)]);
    assert_eq!(scenario.findings_for(BOB), [(FindingKind::Created, None), (FindingKind::Deleted, None)]);
    assert!(scenario.effects.contains(&Effect::Ended(token(BOB))));
}

#[test]
fn objects_from_before_the_start_are_tracked_silently() {
    let crashed = json!({"containerStatuses": [{"name": "dev", "restartCount": 1,
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-11-22T11:00:00Z"}}}]});
    let mut scenario = Scenario::new();
    let old = pod("ws", "ns", ALICE, &crashed);
    scenario.observe(Observation::Seen { scope: PODS, object: old, how: Arrival::ListedKnown });
    assert_eq!(scenario.findings_for(ALICE), []);
    scenario.observe(event("Pod", "ns", "ws", "R", "m", 1, 1));
    assert_eq!(scenario.findings_for(ALICE), [(event_finding("R", "m"), None)]);
}

#[test]
fn undelivered_facts_are_reported_after_a_restart() {
    let since = start() + SignedDuration::from_hours(1);
    let pending = [(Uid::parse("ns/ws").unwrap(), 7)].into();
    let mut scenario =
        Scenario::with(Limits::default(), Checkpoint { created_since: since, pending, ..Checkpoint::default() });
    let object = pod("ws", "ns", ALICE, &json!({}));
    scenario.observe(Observation::Seen { scope: PODS, object, how: Arrival::ListedKnown });
    let other = pod("other", "ns", BOB, &json!({}));
    scenario.observe(Observation::Seen { scope: PODS, object: other, how: Arrival::ListedChanged });
    assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None)]);
    assert_eq!(scenario.findings_for(BOB), []);
}

#[test]
fn a_reference_holds_the_lines_until_it_is_read() {
    let by_secret = json!({"name": "CODER_AGENT_TOKEN",
        "valueFrom": {"secretKeyRef": {"name": "agent", "key": "token"}}});
    let object = || Object::Pod(Box::new(serde_json::from_value(pod_json("ws", "ns", &by_secret)).unwrap()));
    let resolve = |token: Option<AgentToken>| {
        let mut scenario = Scenario::new();
        let effects = scenario.observe(seen(object()));
        let asked = effects.iter().find_map(|effect| match effect {
            Effect::Resolve { subject, source } => Some((subject.clone(), source.clone())),
            _ => None,
        });
        let (subject, source): (Subject, TokenSource) = asked.unwrap();
        scenario.observe(event("Pod", "ns", "ws", "R", "m", 1, 1));
        assert!(scenario.findings().is_empty());
        scenario.observe(Observation::Resolved { subject, source, token });
        scenario.observe(event("Pod", "ns", "ws", "R", "n", 1, 2));
        assert!(scenario.nothing_is_held());
        scenario
    };
    let scenario = resolve(Some(token(ALICE)));
    assert_eq!(
        scenario.findings_for(ALICE),
        [(FindingKind::Created, None), (event_finding("R", "m"), None), (event_finding("R", "n"), None)]
    );
    let scenario = resolve(None);
    assert!(scenario.findings().is_empty());
    assert_eq!((scenario.counted(Counted::NotAToken), scenario.counted(Counted::NonWorkspace)), (1, 1));
}

#[test]
fn two_containers_with_one_token_get_each_line_once() {
    let mut json = pod_json("ws", "ns", &env(ALICE));
    json["spec"]["initContainers"] = json!([{"name": "init", "env": [env(ALICE)]}]);
    let mut scenario = Scenario::new();
    scenario.observe(seen(Object::Pod(Box::new(serde_json::from_value(json).unwrap()))));
    assert_eq!(scenario.findings_for(ALICE), [(FindingKind::Created, None)]);
    assert_eq!(scenario.findings()[0].agents.len(), 1);
}

#[test]
fn a_pod_that_admission_missed_is_repaired_and_counted() {
    let mut scenario = Scenario::new();
    scenario.book.claims.lock().unwrap().insert("seen".into());
    scenario.observe(seen(pod("seen", "ns", ALICE, &json!({}))));
    assert_eq!(scenario.counted(Counted::MissedByWebhook), 0);
    scenario.observe(seen(pod("missed", "ns", BOB, &json!({}))));
    assert_eq!(scenario.counted(Counted::MissedByWebhook), 1);
    assert_eq!(scenario.findings_for(BOB), [(FindingKind::Created, None)]);
}

#[test]
fn a_pod_that_another_replica_admitted_does_not_count_as_missed() {
    let Object::Pod(mut pod) = pod("elsewhere", "ns", ALICE, &json!({})) else { unreachable!() };
    pod.metadata.annotations.known.insert(ANNOTATION.to_owned(), "of-a-review".to_owned());
    let mut scenario = Scenario::new();
    scenario.observe(seen(Object::Pod(pod)));
    assert_eq!((scenario.findings_for(ALICE).len(), scenario.counted(Counted::MissedByWebhook)), (1, 0));
}

#[test]
fn a_pod_announced_before_a_restart_does_not_count_as_missed() {
    let missed = pod("announced", "ns", ALICE, &json!({}));
    let Object::Pod(seen_before) = &missed else { unreachable!() };
    let announced = [seen_before.metadata.uid.unwrap()].into();
    let mut scenario = Scenario::with(Limits::default(), Checkpoint { announced, ..Checkpoint::default() });
    scenario.observe(Observation::Seen { scope: PODS, object: missed, how: Arrival::ListedChanged });
    assert_eq!((scenario.findings_for(ALICE).len(), scenario.counted(Counted::MissedByWebhook)), (0, 0));
}

/// Returns the streams of one workspace's failing start, each in its own order.
fn failing_start() -> [Vec<Observation>; 3] {
    let unschedulable = "0/1 nodes are available: 1 Insufficient cpu.";
    let pending = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": unschedulable, "lastTransitionTime": "2026-11-22T12:00:02Z"}]});
    let waiting = json!({"containerStatuses": [{"name": "dev", "state": {"waiting": {"reason": "ErrImagePull"}}}]});
    let backing_off =
        json!({"containerStatuses": [{"name": "dev", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]});
    let killed = json!({"containerStatuses": [{"name": "dev", "restartCount": 1, "lastState":
        {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-22T12:00:09Z"}}}]});
    let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"});
    let pods = [json!({}), pending, waiting, backing_off, killed, evicted];
    let pods = pods.into_iter().map(|status| seen(pod("ws-1", "ns", ALICE, &status))).collect();
    let replicasets = vec![seen(replicaset("ws", "ns", ALICE))];
    let refusal = |name: &str| format!("Error creating: pods \"ws-{name}\" is forbidden: exceeded quota: q");
    let events = vec![
        event("ReplicaSet", "ns", "ws", "FailedCreate", &refusal("aaaaa"), 1, 0),
        event("ReplicaSet", "ns", "ws", "FailedCreate", &refusal("bbbbb"), 1, 1),
        event("ReplicaSet", "ns", "ws", "FailedCreate", &refusal("ccccc"), 9, 30),
        event("ReplicaSet", "ns", "ws", "SuccessfulCreate", "Created pod: ws-1", 1, 31),
        event("Pod", "ns", "ws-1", "FailedScheduling", unschedulable, 1, 32),
        event("Pod", "ns", "ws-1", "FailedScheduling", unschedulable, 5, 62),
        event("Pod", "ns", "ws-1", "BackOff", "Back-off pulling image", 1, 63),
        event("Pod", "ns", "ws-1", "Evicted", "low on memory", 1, 64),
    ];
    [pods, replicasets, events]
}

fn sorted(findings: Vec<(FindingKind, Option<Repeat>)>) -> Vec<String> {
    let mut lines: Vec<String> = findings.into_iter().map(|line| format!("{line:?}")).collect();
    lines.sort();
    lines
}

#[test]
fn a_failing_start_is_one_line_for_each_cause() {
    let mut scenario = Scenario::new();
    for observation in failing_start().into_iter().flatten() {
        scenario.observe(observation);
    }
    scenario.tick(10);
    // The creation of the pod by its ReplicaSet and the retry of the pull are not reported, because other facts say
    // more.
    assert_eq!(scenario.findings_for(ALICE).len(), 9, "{:#?}", scenario.findings_for(ALICE));
}

proptest! {
    /// Invariant 6: pod first, Event first, admission late or never, looked up or not: the same lines.
    #[test]
    fn invariant_6_any_interleaving_gives_the_same_lines(
        picks in proptest::collection::vec(0_usize..3, 60),
        claimed_at in proptest::option::of(0_usize..15),
        answered in any::<bool>(),
        ticks in proptest::collection::vec(0_i64..3, 15),
    ) {
        let mut expected = Scenario::new();
        for observation in failing_start().into_iter().flatten() {
            expected.observe(observation);
        }
        let mut scenario = Scenario::new();
        let mut streams = failing_start().map(Vec::into_iter);
        let order = picks.into_iter().chain((0..3).flat_map(|stream| [stream; 8]));
        let mut steps = 0;
        for stream in order {
            let Some(observation) = streams[stream].next() else { continue };
            if claimed_at == Some(steps) {
                scenario.book.claims.lock().unwrap().extend(["ws".to_owned(), "ws-1".to_owned()]);
            }
            let mut effects = scenario.observe(observation);
            // All observations come within seconds: facts that are held until a pause ends would depend on the delay.
            let left = SignedDuration::from_secs(4) - scenario.now.duration_since(start());
            effects.extend(scenario.tick(ticks[steps % ticks.len()].min(left.as_secs())));
            for effect in effects {
                let Effect::LookUp(subject) = effect else { continue };
                if !answered {
                    scenario.observe(Observation::LookedUp { scope: None, subject, found: Err(LookupFailed) });
                    continue;
                }
                let [pods, replicasets, _] = failing_start();
                let all = if subject.kind == Kind::Pod { pods } else { replicasets };
                let Some(Observation::Seen { object, .. }) = all.into_iter().next() else { unreachable!() };
                scenario.observe(Observation::LookedUp { scope: None, subject, found: Ok(Some(object)) });
            }
            steps += 1;
        }
        scenario.tick(10);
        expected.tick(10);
        prop_assert_eq!(sorted(scenario.findings_for(ALICE)), sorted(expected.findings_for(ALICE)));
        prop_assert!(scenario.nothing_is_held());
    }
}

/// Runs a second process, which continues after a restart from what the first one knows.
#[test]
fn status_reported_before_a_restart_is_not_reported_again() {
    let trouble = json!({"containerStatuses": [{"name": "dev", "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-22T11:00:00Z"}}}]});
    let object = || pod("ws", "ns", ALICE, &trouble);
    let uid = Uid::parse("ns/ws").unwrap();
    let mut first = Scenario::new();
    first.observe(seen(object()));
    let known = first.effects.iter().rev().find_map(|effect| match effect {
        Effect::Known { facts, .. } => Some(facts.clone()),
        _ => None,
    });
    assert_eq!(known.as_ref().map(BTreeSet::len), Some(2), "{:?}", first.effects);

    let restarted = |known| {
        let mut second = Correlator::new(Arc::new(Book::default()), Limits::default(), true);
        let from =
            Checkpoint { created_since: start() + SignedDuration::from_hours(1), known, ..Checkpoint::default() };
        second.observe(start(), Observation::Started { scope: PODS, from: Box::new(from) });
        let effects =
            second.observe(start(), Observation::Seen { scope: PODS, object: object(), how: Arrival::ListedChanged });
        effects.iter().filter(|effect| matches!(effect, Effect::Finding(_))).count()
    };
    assert_eq!(restarted([(uid, known.unwrap())].into()), 0);
    assert_eq!(restarted(BTreeMap::new()), 2, "an end in the past of a node whose clock is behind is news");
}
