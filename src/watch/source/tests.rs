//! Scenarios of a watch against a stand-in API server.

use std::collections::BTreeMap;

use logstream_core::{
    correlate::Object,
    identity::Uid,
    object::{Event, Pod, Workload},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::*;
use crate::{
    config::LabelSelector,
    watch::{
        scope::Scopes,
        sync::Now,
        testing::{Answer, Script, Server, added, deleted, expired, listed},
    },
};

const TOKEN: &str = "22222222-2222-4333-8444-555555555555";
const PODS: Resource = Resource::Objects(Kind::Pod);
const STREAMED: &str = "sendInitialEvents=true";
const PAGED: &str = "limit=500";

fn pod(name: &str, revision: u64) -> Value {
    json!({"metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": revision.to_string()}})
}

fn event(kind: &str, about: &str, revision: u64) -> Value {
    json!({
        "metadata": {"name": format!("{about}.{revision}"), "namespace": "ns",
            "resourceVersion": revision.to_string()},
        "involvedObject": {"kind": kind, "namespace": "ns", "name": about, "uid": about},
        "reason": "Pulled", "message": "Pulled it",
    })
}

/// List and watch requests, without those for the current resourceVersion.
fn requests(server: &Server) -> Vec<String> {
    server.seen().into_iter().filter(|request| !request.ends_with("limit=1")).collect()
}

/// A watch of one scope, as the correlator sees it.
struct TestWatch {
    scope: ScopeId,
    observations: mpsc::Receiver<Observation>,
    states: SyncStates,
    metrics: Metrics,
    _work: tokio::task::JoinSet<Closed>,
}

fn watching<T: Decoded>(resource: Resource, server: &Server, reached: Option<u64>) -> TestWatch {
    watching_with::<T>(resource, server, reached, BTreeMap::new())
}

fn watching_with<T: Decoded>(
    resource: Resource,
    server: &Server,
    reached: Option<u64>,
    pending: BTreeMap<Uid, u64>,
) -> TestWatch {
    let scopes = Arc::new(Scopes::new(&["ns".into()]));
    let id = scopes.covering(resource, "ns").unwrap();
    let scope = scopes.get(id).unwrap().clone();
    let metrics = Metrics::default();
    let states = SyncStates::new(scopes, metrics.clone());
    let (out, observations) = mpsc::channel(16);
    let shared = Shared {
        client: deadlines::with_deadlines(server.client()),
        selectors: Selectors {
            field: Some("spec.nodeName!=x".into()),
            label: Some(LabelSelector::parse("team=a").unwrap()),
        },
        out,
        states: states.clone(),
        metrics: metrics.clone(),
        node_events: false,
        no_streaming: NoStreaming::default(),
        time: Timestamp::UNIX_EPOCH,
        started: tokio::time::Instant::now(),
    };
    let saved = reached.map(|revision| Checkpoint { revision, pending, ..Checkpoint::default() });
    let source = Source::<T>::new(id, scope, shared, saved);
    let mut work = tokio::task::JoinSet::new();
    work.spawn(source.run());
    TestWatch { scope: id, observations, states, metrics, _work: work }
}

impl TestWatch {
    /// Descriptions of the next observations.
    async fn next(&mut self, number: usize) -> Vec<String> {
        let mut observed = Vec::new();
        while observed.len() < number {
            let next = timeout(Duration::from_hours(1), self.recv()).await;
            let Ok(Some(observation)) = next else { panic!("only {observed:?}") };
            observed.push(self.words(observation));
        }
        observed
    }

    /// The next observation after the start.
    async fn recv(&mut self) -> Option<Observation> {
        loop {
            match self.observations.recv().await {
                Some(Observation::Started { .. }) => {}
                other => return other,
            }
        }
    }

    /// Checks that no further observation arrives.
    async fn nothing_more(&mut self) {
        let next = timeout(Duration::from_secs(200), self.recv()).await;
        assert!(next.is_err(), "{next:?}");
    }

    fn words(&self, observation: Observation) -> String {
        let name = |object: &Object| match object {
            Object::Pod(pod) => pod.metadata.name.clone(),
            Object::Workload(kind, workload) => format!("{kind} {}", workload.metadata.name),
        };
        let (scope, words) = match observation {
            Observation::Relisting(scope) => (scope, "relisting".into()),
            Observation::Synced(scope) => (scope, "synced".into()),
            Observation::Seen { scope, object, how } => (scope, format!("{how:?} {}", name(&object))),
            Observation::Gone { scope, object } => (scope, format!("Gone {}", name(&object))),
            Observation::Event { scope, event } => (scope, format!("Event {}", event.metadata.name)),
            other => panic!("{other:?}"),
        };
        assert_eq!(scope, self.scope);
        words
    }

    fn now(&self) -> Now {
        self.states.get(self.scope).unwrap().now
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_followed_by_its_watch() {
    let server = Script::new()
        .on(
            STREAMED,
            Answer::watch(&[
                added(&pod("old", 5)),
                added(&pod("new", 12)),
                listed(12),
                added(&pod("newer", 13)),
                deleted(&pod("old", 14)),
            ]),
        )
        .start();
    let mut watch = watching::<Pod>(PODS, &server, Some(10));
    assert_eq!(
        watch.next(6).await,
        ["relisting", "ListedKnown old", "ListedChanged new", "synced", "Watched newer", "Gone old"]
    );
    assert_eq!(watch.now(), Now::Watching);
    let seen = requests(&server);
    assert!(seen[0].starts_with("/api/v1/namespaces/ns/pods?watch=true"), "{seen:?}");
    assert!(seen[0].contains("fieldSelector=spec.nodeName!=x&labelSelector=team=a"), "{seen:?}");
    assert!((watch.metrics.value("relists_total{stream=\"pods\"}")).abs() < 0.1, "the first list is no relist");
}

#[tokio::test(start_paused = true)]
async fn a_workload_with_unselected_pods_is_skipped() {
    let replicaset = |name: &str, team: &str, revision: u64| {
        let mut replicaset = pod(name, revision);
        replicaset["spec"] = json!({"template": {"metadata": {"labels": {"team": team}}}});
        replicaset
    };
    let (ours, theirs) = (replicaset("ours", "a", 12), replicaset("theirs", "b", 13));
    let server = Script::new()
        .on(
            STREAMED,
            Answer::watch(&[
                added(&ours),
                added(&theirs),
                listed(13),
                added(&replicaset("theirs-too", "b", 14)),
                deleted(&theirs),
                deleted(&ours),
            ]),
        )
        .start();
    let mut watch = watching::<Workload>(Resource::Objects(Kind::ReplicaSet), &server, Some(10));
    assert_eq!(watch.next(4).await, ["relisting", "ListedChanged ReplicaSet ours", "synced", "Gone ReplicaSet ours"]);
    let seen = requests(&server);
    assert!(!seen[0].contains("labelSelector"), "its own labels are not those of its pods: {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn events_of_a_list_come_in_order_and_those_not_explained_not_at_all() {
    let server = Script::new()
        .on(
            STREAMED,
            Answer::watch(&[
                added(&event("Pod", "b", 15)),
                added(&event("Pod", "a", 8)),
                added(&event("Gateway", "g", 20)),
                added(&event("Pod", "a", 11)),
                listed(20),
                added(&event("Pod", "a", 21)),
                added(&event("Gateway", "g", 22)),
                deleted(&event("Pod", "a", 23)),
                added(&event("Job", "j", 24)),
            ]),
        )
        .start();
    let mut watch = watching::<Event>(Resource::Events, &server, Some(10));
    assert_eq!(watch.next(6).await, ["relisting", "Event a.11", "Event b.15", "synced", "Event a.21", "Event j.24"]);
    let seen = requests(&server);
    assert!(seen[0].contains("reason!=ScalingReplicaSet"), "{seen:?}");
    assert!(!seen[0].contains("labelSelector"), "the user's selectors are for pods: {seen:?}");
    watch.nothing_more().await;
}

#[tokio::test(start_paused = true)]
async fn undelivered_events_are_reported_again_after_a_restart() {
    let lines = [added(&event("Pod", "a", 4)), added(&event("Pod", "a", 6)), added(&event("Pod", "b", 7)), listed(9)];
    let server = Script::new().on(STREAMED, Answer::watch(&lines)).start();
    let pending = BTreeMap::from([(Uid::parse("a").unwrap(), 6)]);
    let mut watch = watching_with::<Event>(Resource::Events, &server, Some(9), pending);
    assert_eq!(watch.next(3).await, ["relisting", "Event a.6", "synced"]);
}

#[tokio::test(start_paused = true)]
async fn a_relist_after_410_reports_only_new_events() {
    let server = Script::new()
        .on(
            STREAMED,
            Answer::watch(&[added(&event("Pod", "a", 11)), listed(11), added(&event("Pod", "a", 12)), expired()]),
        )
        .on(
            STREAMED,
            Answer::watch(&[
                added(&event("Pod", "a", 30)),
                added(&event("Pod", "a", 11)),
                added(&event("Pod", "a", 12)),
                listed(40),
            ]),
        )
        .start();
    let mut watch = watching::<Event>(Resource::Events, &server, Some(10));
    assert_eq!(watch.next(4).await, ["relisting", "Event a.11", "synced", "Event a.12"]);
    assert_eq!(watch.next(3).await, ["relisting", "Event a.30", "synced"]);
    assert!((watch.metrics.value("relists_total{stream=\"events\"}") - 1.0).abs() < 0.1);
    assert!((watch.metrics.value("errors_total{stream=\"events\",reason=\"gone\"}") - 1.0).abs() < 0.1);
    watch.nothing_more().await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_resumes_after_its_connection_ends() {
    let server = Script::new()
        .on(STREAMED, Answer::ended_watch(&[added(&pod("a", 11)), listed(12)]))
        .on("resourceVersion=12", Answer::Unreachable)
        .on("resourceVersion=12", Answer::watch(&[added(&pod("b", 13))]))
        .start();
    let mut watch = watching::<Pod>(PODS, &server, Some(10));
    assert_eq!(watch.next(4).await, ["relisting", "ListedChanged a", "synced", "Watched b"]);
    assert_eq!(watch.now(), Now::Watching);
    watch.nothing_more().await;
}

#[tokio::test(start_paused = true)]
async fn a_resumed_watch_that_stays_quiet_counts_as_working() {
    let server = Script::new()
        .on(STREAMED, Answer::ended_watch(&[listed(12)]))
        .on("resourceVersion=12", Answer::status(503, "starting"))
        .on("resourceVersion=12", Answer::watch(&[]))
        .start();
    let mut watch = watching::<Pod>(PODS, &server, Some(10));
    assert_eq!(watch.next(2).await, ["relisting", "synced"]);
    let mut states = watch.states.subscribe();
    let scope = usize::from(watch.scope.0);
    states.wait_for(|states| matches!(states[scope].now, Now::Failing { .. })).await.unwrap();
    let since = Instant::now();
    states.wait_for(|states| states[scope].now == Now::Watching).await.unwrap();
    assert!(since.elapsed() >= QUIET && since.elapsed() < QUIET + Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_failing_list_backs_off_and_announces_nothing() {
    let server = Script::new()
        .on(STREAMED, Answer::status(422, "sendInitialEvents: Forbidden"))
        .always(PAGED, Answer::status(500, "etcd is away"))
        .start();
    let mut watch = watching::<Pod>(PODS, &server, Some(10));
    let next = timeout(Duration::from_mins(10), watch.recv()).await;
    assert!(next.is_err(), "{next:?}");
    let tries = requests(&server).len();
    // With full jitter up to 30 s, about 40; if a failing list reset the backoff, over 1,000.
    assert!((20..100).contains(&tries), "{tries}");
    assert_eq!(watch.now(), Now::Failing { reason: Reason::Overloaded, text: "overloaded: etcd is away".into() });
    assert!(!watch.states.all_listed());
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named() {
    let message = "pods is forbidden: User \"u\" cannot watch resource \"pods\"";
    let server = Script::new().always("/pods?", Answer::status(403, message)).start();
    let mut watch = watching::<Pod>(PODS, &server, Some(10));
    watch.nothing_more().await;
    let problems = watch.states.problems();
    let expected = format!("pods in ns: forbidden: {message} (the verbs list and watch on pods are needed)");
    assert!(problems.contains(&expected), "{problems:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_stream_lists_is_paged_and_that_is_remembered() {
    let server = Script::new()
        .on(STREAMED, Answer::status(422, "sendInitialEvents: Forbidden"))
        .on("continue=more", Answer::list(20, &[pod("b", 12)]))
        .on(PAGED, Answer::page("more", &[pod("a", 5)]))
        .on("watch=true", Answer::watch(&[added(&pod("c", 21)), expired()]))
        .on(PAGED, Answer::list(30, &[pod("c", 21)]))
        .start();
    let mut watch = watching::<Pod>(PODS, &server, Some(10));
    assert_eq!(watch.next(5).await, ["relisting", "ListedKnown a", "ListedChanged b", "synced", "Watched c"]);
    assert_eq!(watch.next(3).await, ["relisting", "ListedKnown c", "synced"]);
    assert_eq!(requests(&server).iter().filter(|request| request.contains(STREAMED)).count(), 1);
    assert!(watch.metrics.value("errors_total{stream=\"pods\",reason=\"refused\"}") < 0.5, "a refusal is no error");
}

#[tokio::test(start_paused = true)]
async fn streaming_lists_that_never_end_give_way_to_paged_ones() {
    let server = Script::new()
        .always(STREAMED, Answer::ended_watch(&[added(&pod("a", 5))]))
        .on(PAGED, Answer::list(20, &[pod("a", 5)]))
        .start();
    let mut watch = watching::<Pod>(PODS, &server, Some(10));
    let mut observed = watch.next(1).await;
    while observed.last().is_some_and(|last| last != "synced") {
        observed.extend(watch.next(1).await);
    }
    assert!(requests(&server).iter().any(|request| request.contains(PAGED)));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_is_announced_again() {
    let server = Script::new()
        .on(STREAMED, Answer::status(422, "sendInitialEvents: Forbidden"))
        .on("continue=more", Answer::status(410, "expired"))
        .on(PAGED, Answer::page("more", &[pod("a", 5)]))
        .on(PAGED, Answer::list(20, &[pod("a", 5)]))
        .start();
    let mut watch = watching::<Pod>(PODS, &server, Some(10));
    assert_eq!(watch.next(5).await, ["relisting", "ListedKnown a", "relisting", "ListedKnown a", "synced"]);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_object_is_skipped_and_counted() {
    let bad = |revision: u64| {
        let mut bad = pod("bad", revision);
        bad["spec"] = json!(TOKEN);
        bad
    };
    let server = Script::new()
        .on(
            STREAMED,
            Answer::watch(&[
                added(&bad(5)),
                added(&pod("good", 6)),
                listed(6),
                added(&bad(11)),
                added(&pod("good", 12)),
                deleted(&bad(13)),
                added(&pod("good", 14)),
            ]),
        )
        .start();
    let mut watch = watching::<Pod>(PODS, &server, Some(10));
    assert_eq!(watch.next(5).await, ["relisting", "ListedKnown good", "synced", "Watched good", "Watched good"]);
    assert!((watch.metrics.value("malformed_total{stream=\"pods\"}") - 3.0).abs() < 0.1);
    assert!(watch.metrics.value("relists_total{stream=\"pods\"}") < 0.5);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ahead_of_a_restored_cluster_begins_anew() {
    let server = Script::new()
        .on(STREAMED, Answer::ended_watch(&[added(&event("Pod", "a", 900)), listed(1_000)]))
        .always("resourceVersion=1000", Answer::status(504, "Too large resource version"))
        .on("limit=1", Answer::list(1_000, &[]))
        .on("limit=1", Answer::list(50, &[]))
        .on(STREAMED, Answer::watch(&[added(&event("Pod", "a", 40)), listed(50), added(&event("Pod", "a", 51))]))
        .start();
    let mut watch = watching::<Event>(Resource::Events, &server, Some(800));
    assert_eq!(watch.next(5).await, ["relisting", "Event a.900", "synced", "relisting", "synced"]);
    assert_eq!(watch.next(1).await, ["Event a.51"]);
}

#[tokio::test(start_paused = true)]
async fn a_410_to_the_start_of_a_watch_lists_anew() {
    let server = Script::new()
        .on(STREAMED, Answer::ended_watch(&[listed(12)]))
        .on("resourceVersion=12", Answer::status(410, "too old resource version"))
        .on(STREAMED, Answer::watch(&[added(&pod("a", 15)), listed(20)]))
        .start();
    let mut watch = watching::<Pod>(PODS, &server, Some(10));
    assert_eq!(watch.next(5).await, ["relisting", "synced", "relisting", "ListedChanged a", "synced"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_noticed_counted_and_replaced() {
    let server = Script::new()
        .on(STREAMED, Answer::watch(&[listed(12)]))
        .on("resourceVersion=12", Answer::watch(&[added(&pod("a", 15))]))
        .start();
    let mut watch = watching::<Pod>(PODS, &server, Some(10));
    assert_eq!(watch.next(2).await, ["relisting", "synced"]);
    let mut states = watch.states.subscribe();
    let scope = usize::from(watch.scope.0);
    let failing =
        states.wait_for(|states| matches!(states[scope].now, Now::Failing { .. })).await.unwrap()[scope].clone();
    let text = "unreachable: no data from the API server for 45 s".into();
    assert_eq!(failing.now, Now::Failing { reason: Reason::Unreachable, text });
    assert_eq!(watch.next(1).await, ["Watched a"]);
    assert!((watch.metrics.value("errors_total{stream=\"pods\",reason=\"unreachable\"}") - 1.0).abs() < 0.1);
    let seen = requests(&server);
    assert!(seen[1].contains("timeoutSeconds=40"), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_never_answered_is_a_failure() {
    let server = Script::new().start();
    let mut watch = watching::<Pod>(PODS, &server, Some(10));
    watch.nothing_more().await;
    assert!(matches!(watch.now(), Now::Failing { .. }), "{:?}", watch.now());
    assert!(watch.metrics.value("errors_total{stream=\"pods\",reason=\"unreachable\"}") > 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_scope_starts_from_its_checkpoint_or_from_now() {
    let dated = || Answer::list(100, &[]).dated("Mon, 23 Nov 2026 05:11:54 GMT");
    let answered: Timestamp = "2026-11-23T05:11:54Z".parse().unwrap();
    for (saved, expected) in [(None, 100), (Some(90), 90), (Some(4_000), 100)] {
        let server = Script::new().on("limit=1", Answer::status(503, "starting")).on("limit=1", dated()).start();
        let mut watch = watching::<Pod>(PODS, &server, saved);
        let Some(Observation::Started { from, .. }) = watch.observations.recv().await else { panic!("no start") };
        assert_eq!(from.revision, expected);
        if saved.is_none() {
            // The process started before the API server's first response. The clock of the test is stopped in between,
            // and only advances for the wait after the 503.
            let waited = answered.duration_since(from.created_since);
            assert!(!waited.is_negative() && waited < jiff::SignedDuration::from_secs(1), "{waited}");
        } else {
            assert_eq!(from.created_since, Timestamp::UNIX_EPOCH);
        }
    }
}
