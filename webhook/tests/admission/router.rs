//! The webhook as the API server calls it, without TLS.

use std::sync::Arc;

use crate::common::{Captured, FIXTURES, NOW_SECONDS, Webhook, fixture, post};
use axum::body::Body;
use http::{Request, StatusCode, header};
use logstream_core::{identity::Uid, registration::Registration, resource::Kind, token::AgentToken};
use logstream_webhook::{Metrics, Outcome, Policy, Reason, Registrar, router};
use serde_json::{Value, json};

const ALICE: &str = "11111111-2222-4333-8444-555555555555";
const BOB: &str = "22222222-2222-4333-8444-555555555555";

fn token(text: &str) -> AgentToken {
    AgentToken::parse(text).unwrap()
}

fn fingerprint(text: &str) -> String {
    token(text).fingerprint().to_string()
}

/// Returns our annotations after an answer's patch. Asserts that nothing else has changed.
fn ours(before: &Value, after: &Value) -> Value {
    let mut rest = after.clone();
    let annotations = rest["metadata"]["annotations"].as_object_mut().unwrap();
    let ours: serde_json::Map<_, _> = annotations
        .iter()
        .filter(|(key, _)| key.starts_with("logstream.coder.com/"))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    annotations.retain(|key, _| !key.starts_with("logstream.coder.com/"));
    if annotations.is_empty() {
        rest["metadata"].as_object_mut().unwrap().remove("annotations");
    }
    assert_eq!(&rest, before, "nothing but our annotations changes");
    ours.into()
}

#[tokio::test]
async fn a_bare_pod_is_recorded_and_annotated() {
    let (webhook, review) = (Webhook::new(), fixture("pod"));
    let answer = webhook.review(&review).await;
    assert_eq!(
        ours(&review["request"]["object"], &answer.apply(&review)),
        json!({
            "logstream.coder.com/owner": "alice",
            "logstream.coder.com/workspace": "dev",
            "logstream.coder.com/agents": format!("prepare=by-secret,dev={}", fingerprint(ALICE)),
            "logstream.coder.com/recorded-at": NOW_SECONDS,
            "logstream.coder.com/registration": "038d7218-11c0-47e3-a5a3-d8f126b50d96",
        })
    );
    let [registration] = &webhook.recorder.all()[..] else { panic!() };
    assert_eq!(registration.kind, Kind::Pod);
    assert_eq!(&*registration.namespace, "cap");
    assert_eq!(registration.name.as_deref(), Some("coder-alice-dev"));
    assert_eq!(registration.controller, None);
    assert_eq!(registration.tokens, [token(ALICE)]);
    assert_eq!(webhook.metrics.reviews(Some(Kind::Pod), Outcome::Patched), 1);
    assert_eq!(webhook.metrics.registrations(), 1);
}

#[tokio::test]
async fn a_pod_of_a_workload_has_no_name_yet_and_is_known_by_its_controller() {
    for (name, user, workspace, controller, is_named) in [
        ("pod-of-replicaset", "bob", "web", "9331c7b7-e49f-41da-9035-d39ce77568b1", false),
        ("pod-of-job", "dave", "task", "bae520b8-f797-4218-b17e-a3ebb000e91a", false),
        ("pod-of-statefulset", "carol", "db-0", "", true),
    ] {
        let (webhook, review) = (Webhook::new(), fixture(name));
        let after = webhook.review(&review).await.apply(&review);
        let ours = ours(&review["request"]["object"], &after);
        assert_eq!(ours["logstream.coder.com/owner"], user, "{name}");
        assert_eq!(ours["logstream.coder.com/workspace"], workspace, "{name}");
        let [registration] = &webhook.recorder.all()[..] else { panic!() };
        assert_eq!(registration.name.is_some(), is_named, "{name}");
        let expected = if controller.is_empty() {
            review["request"]["object"]["metadata"]["ownerReferences"][0]["uid"].as_str().unwrap()
        } else {
            controller
        };
        assert_eq!(registration.controller, Uid::parse(expected), "{name}");
    }
}

#[tokio::test]
async fn a_replicaset_is_recorded_and_left_as_it_is() {
    let (webhook, review) = (Webhook::new(), fixture("replicaset-of-deployment"));
    assert_eq!(webhook.review(&review).await.patch(), None);
    let [registration] = &webhook.recorder.all()[..] else { panic!() };
    let Registration { kind, namespace, name, controller, tokens } = registration;
    assert_eq!((*kind, &**namespace), (Kind::ReplicaSet, "cap"));
    assert_eq!(name.as_deref(), Some("coder-bob-web-78fb7fc9b9"));
    assert_eq!((*controller, tokens.as_slice()), (None, &[token(BOB)][..]));
    assert_eq!(webhook.metrics.reviews(Some(Kind::ReplicaSet), Outcome::Recorded), 1);
}

#[tokio::test]
async fn statefulsets_and_jobs_are_recorded_by_their_template() {
    for (group, kind, expected) in [("apps", "StatefulSet", Kind::StatefulSet), ("batch", "Job", Kind::Job)] {
        let (webhook, mut review) = (Webhook::new(), fixture("replicaset-of-deployment"));
        review["request"]["kind"] = json!({"group": group, "version": "v1", "kind": kind});
        assert_eq!(webhook.review(&review).await.patch(), None);
        assert_eq!(webhook.recorder.all()[0].kind, expected);
    }
}

#[tokio::test]
async fn a_dry_run_is_answered_alike_and_recorded_nowhere() {
    let (webhook, review) = (Webhook::new(), fixture("pod-dry-run"));
    let after = webhook.review(&review).await.apply(&review);
    assert_eq!(ours(&review["request"]["object"], &after)["logstream.coder.com/owner"], "alice");
    assert_eq!(webhook.recorder.all(), []);
    assert_eq!(webhook.metrics.reviews(Some(Kind::Pod), Outcome::DryRun), 1);
    assert_eq!(webhook.metrics.registrations(), 0);

    let mut real = review.clone();
    real["request"]["dryRun"] = false.into();
    assert_eq!(Webhook::new().review(&real).await.apply(&real), after, "alike");
}

#[tokio::test]
async fn reinvocation_is_idempotent() {
    let (webhook, review) = (Webhook::new(), fixture("pod"));
    let mut again = review.clone();
    again["request"]["object"] = webhook.review(&review).await.apply(&review);
    // The API server gives a reinvocation its own uid.
    again["request"]["uid"] = "7c0a1a52-11c0-47e3-a5a3-d8f126b50d96".into();
    assert_eq!(webhook.review(&again).await.patch(), None);
    let [first, second] = &webhook.recorder.all()[..] else { panic!() };
    assert_eq!(first, second);
    assert_eq!(webhook.metrics.reviews(Some(Kind::Pod), Outcome::Recorded), 1);

    // A replica that did not write the annotations recognizes the same review, and rewrites those of another review
    // once.
    let other = Webhook::new();
    let rewritten = other.review(&again).await.apply(&again);
    again["request"]["object"] = rewritten;
    assert_eq!(other.review(&again).await.patch(), None);
}

#[tokio::test]
async fn an_annotation_of_ours_brought_in_by_a_user_is_overwritten() {
    let (webhook, mut review) = (Webhook::new(), fixture("pod"));
    for key in ["owner", "workspace", "agents", "recorded-at", "registration", "of-the-user"] {
        review["request"]["object"]["metadata"]["annotations"][format!("logstream.coder.com/{key}")] = "forged".into();
    }
    let after = webhook.review(&review).await.apply(&review);
    let annotations = after["metadata"]["annotations"].as_object().unwrap();
    let forged: Vec<_> = annotations.iter().filter(|(_, value)| *value == "forged").map(|(key, _)| key).collect();
    assert_eq!(forged, ["logstream.coder.com/of-the-user"]);
    assert_eq!(annotations["logstream.coder.com/owner"], "alice");
    assert_eq!(annotations["com.coder.user.email"], "alice@example.com");
}

#[tokio::test]
async fn annotations_may_be_absent_null_or_empty() {
    for before in [None, Some(Value::Null), Some(json!({}))] {
        let (webhook, mut review) = (Webhook::new(), fixture("pod-of-job"));
        let metadata = review["request"]["object"]["metadata"].as_object_mut().unwrap();
        metadata.remove("annotations");
        if let Some(before) = before {
            metadata.insert("annotations".into(), before);
        }
        let after = webhook.review(&review).await.apply(&review);
        assert_eq!(after["metadata"]["annotations"].as_object().unwrap().len(), 5);
    }
}

#[tokio::test]
async fn non_workspaces_are_unchanged_and_possible_ones_recorded_only() {
    let with = |container: Value, labels: Value| {
        let mut review = fixture("pod");
        review["request"]["object"]["metadata"] =
            json!({"name": "p", "labels": labels, "annotations": {"logstream.coder.com/owner": "forged"}});
        review["request"]["object"]["spec"] = json!({"containers": [container]});
        review
    };
    let env_from = json!({"name": "dev", "envFrom": [{"secretRef": {"name": "settings"}}]});
    let coders = json!({"com.coder.workspace.name": "dev"});

    let webhook = Webhook::new();
    assert_eq!(webhook.review(&with(json!({"name": "web"}), json!({}))).await.patch(), None);
    assert_eq!(webhook.recorder.all(), []);
    assert_eq!(webhook.metrics.reviews(Some(Kind::Pod), Outcome::Unchanged), 1);

    assert_eq!(webhook.review(&with(env_from.clone(), json!({}))).await.patch(), None);
    assert_eq!(webhook.recorder.all().len(), 1);
    assert_eq!(webhook.metrics.reviews(Some(Kind::Pod), Outcome::Recorded), 1);

    let review = with(env_from, coders);
    let after = webhook.review(&review).await.apply(&review);
    assert_eq!(after["metadata"]["annotations"]["logstream.coder.com/agents"], "dev=by-secret");
    assert_eq!(after["metadata"]["annotations"]["logstream.coder.com/owner"], "unknown");
}

#[tokio::test]
async fn other_operations_and_kinds_are_admitted_and_counted() {
    let webhook = Webhook::new();
    let mut update = fixture("pod");
    update["request"]["operation"] = "UPDATE".into();
    let mut subresource = fixture("pod");
    subresource["request"]["subResource"] = "eviction".into();
    for review in [update, subresource] {
        assert_eq!(webhook.review(&review).await.patch(), None);
    }
    let mut deployment = fixture("pod");
    deployment["request"]["kind"] = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
    let mut foreign = fixture("pod");
    foreign["request"]["kind"]["group"] = "example.com".into();
    for review in [deployment, foreign] {
        assert_eq!(webhook.review(&review).await.patch(), None);
    }
    assert_eq!(webhook.recorder.all(), []);
    assert_eq!(webhook.metrics.reviews(Some(Kind::Pod), Outcome::Unchanged), 2);
    assert_eq!(webhook.metrics.reviews(None, Outcome::Unchanged), 2);
}

#[tokio::test]
async fn a_token_that_is_no_uuid_is_counted_once_a_review() {
    let (webhook, mut review) = (Webhook::new(), fixture("pod"));
    review["request"]["object"]["spec"] = json!({"containers": [
        {"name": "a", "env": [{"name": "CODER_AGENT_TOKEN", "value": "hunter2"}]},
        {"name": "b", "env": [{"name": "CODER_AGENT_TOKEN", "value": "hunter3"}]},
    ]});
    assert_eq!(webhook.review(&review).await.patch(), None);
    assert_eq!((webhook.metrics.not_tokens(), webhook.recorder.all().len()), (1, 0));
}

#[tokio::test]
async fn a_review_that_can_be_answered_is_even_if_its_object_cannot_be_read() {
    let webhook = Webhook::new();
    let broken: [(&str, Value); 7] = [
        ("/request/object", json!(null)),
        ("/request/object", json!([{"name": "p"}, {}])),
        ("/request/object/metadata", json!([])),
        ("/request/object/metadata/annotations", json!([])),
        ("/request/object/spec/containers", json!("dev")),
        ("/request/namespace", json!("")),
        ("/request/object/metadata/name", json!("n".repeat(254))),
    ];
    for (index, (path, value)) in broken.into_iter().enumerate() {
        let mut review = fixture("pod");
        *review.pointer_mut(path).unwrap() = value;
        let answer = webhook.review(&review).await;
        assert_eq!(answer.patch(), None, "{path}");
        assert!(answer.warnings().is_some(), "{path}");
        assert_eq!(webhook.metrics.reviews(Some(Kind::Pod), Outcome::NotUnderstood), index as u64 + 1, "{path}");
    }
    let mut review = fixture("pod");
    review["request"]["dryRun"] = "maybe".into();
    assert!(webhook.review(&review).await.warnings().is_some());
    assert_eq!(webhook.metrics.reviews(None, Outcome::NotUnderstood), 1);
    assert_eq!(webhook.recorder.all(), []);
}

#[tokio::test]
async fn a_claim_is_small_however_large_its_review() {
    let (webhook, mut review) = (Webhook::new(), fixture("pod"));
    let agent = |n: u32| {
        let value = format!("{n:08x}-2222-4333-8444-555555555555");
        json!({"name": format!("c{n}"), "env": [{"name": "CODER_AGENT_TOKEN", "value": value}]})
    };
    review["request"]["object"]["spec"]["containers"] = (0..10_000).map(agent).collect();
    review["request"]["object"]["metadata"]["labels"] = json!({"com.coder.workspace.name": "é".repeat(100_000)});
    let after = webhook.review(&review).await.apply(&review);
    let [registration] = &webhook.recorder.all()[..] else { panic!() };
    assert!(registration.tokens.len() <= 64);
    let workspace = after["metadata"]["annotations"]["logstream.coder.com/workspace"].as_str().unwrap();
    assert!(workspace.len() <= 253);
}

#[tokio::test]
async fn malformed_requests_get_a_clear_4xx() {
    let webhook = Webhook::new();
    let without = |path: &str, key: &str| {
        let mut review = fixture("pod");
        review.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(key);
        review.to_string()
    };
    let with = |path: &str, value: Value| {
        let mut review = fixture("pod");
        *review.pointer_mut(path).unwrap() = value;
        review.to_string()
    };
    for (body, status, reason, says) in [
        (String::new(), 400, Reason::NotJson, "line 1, column 0"),
        ("{".into(), 400, Reason::NotJson, "line 1, column 1"),
        ("[]".into(), 400, Reason::NotAReview, "not an object"),
        ("{}".into(), 400, Reason::NotAReview, "kind is not AdmissionReview"),
        (with("/kind", json!("Pod")), 400, Reason::NotAReview, "kind is not AdmissionReview"),
        (without("", "request"), 400, Reason::NotAReview, "no request"),
        (with("/request", json!(["u"])), 400, Reason::NotAReview, "no request"),
        (without("/request", "uid"), 400, Reason::NotAReview, "request.uid"),
        (with("/request/uid", json!("")), 400, Reason::NotAReview, "request.uid"),
        (with("/request/uid", json!(7)), 400, Reason::NotAReview, "request.uid"),
        (with("/apiVersion", json!("admission.k8s.io/v1beta1")), 422, Reason::Version, "use admission.k8s.io/v1"),
    ] {
        let before = webhook.metrics.rejections(reason);
        let (got, text) = webhook.post(body.clone()).await;
        assert_eq!(got.as_u16(), status, "{body}");
        assert!(text.contains(says), "{text} for {body}");
        assert_eq!(webhook.metrics.rejections(reason), before + 1, "{body}");
    }
}

#[tokio::test]
async fn requests_without_a_review_are_rejected_with_the_reason() {
    let webhook = Webhook::new();
    let body = || Body::from(fixture("pod").to_string());
    let json = (header::CONTENT_TYPE.as_str(), "application/json; charset=utf-8");
    for (request, status, reason) in [
        (Request::get("/mutate").body(body()), StatusCode::METHOD_NOT_ALLOWED, Reason::Method),
        (Request::post("/").header(json.0, json.1).body(body()), StatusCode::NOT_FOUND, Reason::Path),
        (Request::post("/mutate").body(body()), StatusCode::UNSUPPORTED_MEDIA_TYPE, Reason::ContentType),
        (
            Request::post("/mutate").header(json.0, "text/plain").body(body()),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Reason::ContentType,
        ),
        (
            Request::post("/mutate").header(json.0, json.1).header("content-encoding", "gzip").body(body()),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Reason::ContentEncoding,
        ),
        (Ok(post(vec![b' '; 4 * 1024 * 1024 + 1])), StatusCode::PAYLOAD_TOO_LARGE, Reason::TooLarge),
    ] {
        let before = webhook.metrics.rejections(reason);
        let (got, _, text) = webhook.send(request.unwrap()).await;
        assert_eq!(got, status, "{text}");
        assert_eq!(webhook.metrics.rejections(reason), before + 1, "{text}");
        assert!(text.ends_with('\n') && text.len() > 20, "{text}");
    }
    let (status, ..) = webhook.send(Request::post("/mutate").header(json.0, json.1).body(body()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_pod_of_three_mebibytes_is_taken() {
    let (webhook, mut review) = (Webhook::new(), fixture("pod"));
    review["request"]["object"]["spec"]["containers"][0]["args"] = json!(["x".repeat(3 * 1024 * 1024)]);
    assert!(webhook.review(&review).await.patch().is_some());
}

#[tokio::test]
async fn a_panic_admits_the_pod_as_it_came() {
    struct Broken;
    impl Registrar for Broken {
        fn register(&self, _: Registration) {
            panic!("a bug");
        }
    }
    let metrics = Metrics::new();
    let router = router(Arc::new(Broken), Policy::default(), metrics.clone(), crate::common::clock());
    let webhook = Webhook { router, recorder: Arc::default(), metrics };
    assert_eq!(webhook.review(&fixture("pod")).await.patch(), None);
    assert_eq!(webhook.metrics.reviews(None, Outcome::Panicked), 1);
}

#[tokio::test]
async fn no_token_appears_in_an_answer_or_a_trace() {
    let (captured, _guard) = Captured::start();
    let webhook = Webhook::new();
    let mut seen = String::new();
    let mut reviews: Vec<String> = FIXTURES.iter().map(|(_, text)| (*text).to_owned()).collect();
    // A token in a wrong place, which a decoder's message would quote, and one in a truncated body.
    let mut misplaced = fixture("pod");
    misplaced["request"]["object"]["spec"]["containers"][0]["env"] = ALICE.into();
    reviews.push(misplaced.to_string());
    let mut refused = fixture("pod");
    refused["request"]["dryRun"] = ALICE.into();
    reviews.push(refused.to_string());
    let mut no_uuid = fixture("pod");
    no_uuid["request"]["object"]["spec"]["containers"][0]["env"][0]["value"] = "hunter2-4333-8444".into();
    reviews.push(no_uuid.to_string());
    reviews.push(format!("{{\"kind\": {ALICE}"));
    reviews.push(json!({"apiVersion": ALICE, "kind": ALICE}).to_string());
    for review in reviews {
        seen.push_str(&webhook.post(review).await.1);
    }
    let traced = captured.text();
    assert!(traced.contains("review decided") && traced.contains("request rejected"), "{traced}");
    assert!(traced.contains(&fingerprint(ALICE)), "{traced}");
    // All tokens of the fixtures share this part.
    for text in [&seen, &traced] {
        assert!(!text.contains("4333-8444"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    for registration in webhook.recorder.all() {
        assert!(!format!("{registration:?}").contains("4333-8444"));
    }
}
