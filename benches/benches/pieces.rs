//! Microbenchmarks by Criterion: from a review to its patch, from an Event to its line, and the lookup of a
//! registration.
#![allow(missing_docs, reason = "criterion_group makes public functions")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure stops the benchmark")]
#![allow(clippy::disallowed_methods, reason = "benchmarks use the real clock")]

use std::hint::black_box;
use std::sync::Arc;

use axum::body::Body;
use coder_logstream_kube::registry::{Metrics, Registry};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{Request, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use logstream_core::correlate::{Arrival, Correlator, Effect, Limits, Object, Observation, Registrations};
use logstream_core::object;
use logstream_core::registration::Registration;
use logstream_core::render::{LogStyle, render};
use logstream_core::token::AgentToken;
use logstream_core::{fact_id::ScopeId, line::LogLine};
use logstream_core::{
    identity::{Subject, Uid},
    resource::Kind,
};
use logstream_webhook::Registrar;
use serde_json::json;
use tower::ServiceExt;
use uuid::Uuid;

/// A review recorded from a real API server.
const REVIEW: &str = include_str!("../../webhook/tests/fixtures/pod.json");

const CLAIMS: usize = 1_000;
const SCOPE: ScopeId = ScopeId(0);

fn registry() -> Arc<Registry> {
    let clock = Arc::new(Timestamp::now);
    Arc::new(Registry::new(Box::new(|agent| _ = black_box(agent)), clock, Metrics::default()))
}

/// A review through the router, from the request's body to the answer's.
fn review(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let clock = Arc::new(Timestamp::now);
    let router = logstream_webhook::router(
        registry(),
        logstream_webhook::Policy::default(),
        logstream_webhook::Metrics::new(),
        clock,
    );
    let request = || {
        let request = Request::post("/mutate").header(header::CONTENT_TYPE, "application/json");
        request.body(Body::from(REVIEW)).expect("a request")
    };
    criterion.bench_function("review", |bencher| {
        bencher.iter_batched(
            || (router.clone(), request()),
            |(router, request)| {
                runtime.block_on(async {
                    let answer = router.oneshot(request).await.expect("it is infallible");
                    assert!(answer.status().is_success());
                    answer.into_body().collect().await.expect("a body").to_bytes()
                })
            },
            BatchSize::SmallInput,
        );
    });
}

/// A correlator that knows one pod, and its UID.
fn one_pod() -> (Correlator, String) {
    let mut correlator = Correlator::new(registry(), Limits::default(), false);
    let uid = Uuid::new_v4().to_string();
    let pod: object::Pod = serde_json::from_value(json!({
        "metadata": { "name": "workspace", "namespace": "coder", "uid": uid, "resourceVersion": "1" },
        "spec": { "containers": [{
            "name": "dev", "image": "ghcr.io/example/workspace",
            "env": [{ "name": "CODER_AGENT_TOKEN", "value": Uuid::new_v4().to_string() }],
        }] },
    }))
    .expect("a pod");
    let object = Object::Pod(Box::new(pod));
    correlator.observe(Timestamp::now(), Observation::Seen { scope: SCOPE, object, how: Arrival::Watched });
    (correlator, uid)
}

/// JSON of an Event about the pod.
fn event(revision: u64, uid: &str, message: &str) -> String {
    json!({
        "metadata": {
            "name": format!("workspace.{revision}"), "namespace": "coder", "uid": Uuid::new_v4().to_string(),
            "resourceVersion": revision.to_string(),
        },
        "involvedObject": {
            "apiVersion": "v1", "kind": "Pod", "namespace": "coder", "name": "workspace", "uid": uid,
        },
        "type": "Normal",
        "reason": "Pulling",
        "message": message,
        "count": 1,
        "firstTimestamp": "2026-11-25T10:00:00Z",
        "lastTimestamp": "2026-11-25T10:00:00Z",
    })
    .to_string()
}

/// The line of an Event.
fn line_of(correlator: &mut Correlator, event: &str) -> LogLine {
    let event = serde_json::from_str(event).expect("an Event");
    let effects = correlator.observe(Timestamp::now(), Observation::Event { scope: SCOPE, event });
    let lines = effects.iter().filter_map(|effect| match effect {
        Effect::Finding(finding) => Some(render(finding, LogStyle::Fancy, |_| false)),
        _ => None,
    });
    let mut lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 1, "each Event makes a line");
    lines.remove(0)
}

/// A correlator that knows one pod, and the first Event about it: a further one with the same cause would be a repeat.
fn first_event(message: &str) -> (Correlator, String) {
    let (correlator, uid) = one_pod();
    (correlator, event(2, &uid, message))
}

/// From an Event's JSON to the text of its line, for a known pod.
fn line(criterion: &mut Criterion) {
    measure_line(criterion, "line", "Pulling image \"ghcr.io/example/workspace:1\"", BatchSize::SmallInput);
}

/// The same for messages of growing size that consist of secrets: the worst case for masking.
fn sizes(criterion: &mut Criterion) {
    for (name, size) in [("event-1-kib", 1 << 10), ("event-32-kib", 1 << 15), ("event-1-mib", 1 << 20)] {
        measure_line(criterion, name, &"token=a ".repeat(size / 8), BatchSize::LargeInput);
    }
}

fn measure_line(criterion: &mut Criterion, name: &str, message: &str, batch: BatchSize) {
    criterion.bench_function(name, |bencher| {
        bencher.iter_batched(
            || first_event(message),
            |(mut correlator, event)| (line_of(&mut correlator, &event), correlator),
            batch,
        );
    });
}

/// Looks up the pending registration of a pod that was just seen, by the ReplicaSet that made it.
fn registration(criterion: &mut Criterion) {
    let registry = registry();
    let name = |n: usize| format!("workspace-{n:04}-5c5df6c99b");
    for n in 0..CLAIMS {
        registry.register(Registration {
            kind: Kind::ReplicaSet,
            namespace: "coder".into(),
            name: Some(name(n).into()),
            controller: None,
            tokens: vec![AgentToken::parse(&Uuid::new_v4().to_string()).expect("a token")],
        });
    }
    let uid = Uid::parse(&Uuid::new_v4().to_string()).expect("a UID");
    let subjects: Vec<Subject> = (0..CLAIMS)
        .map(|n| Subject { kind: Kind::Pod, namespace: "coder".into(), name: format!("{}-x7k2p", name(n)).into(), uid })
        .collect();
    let mut next = 0;
    criterion.bench_function("registration", |bencher| {
        bencher.iter(|| {
            next = (next + 1) % CLAIMS;
            assert!(registry.is_registered(black_box(&subjects[next])));
        });
    });
}

criterion_group!(pieces, review, line, sizes, registration);
criterion_main!(pieces);
