//! Admission: reviews and the annotations of pods.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, PostParams},
};
use logstream_testing::{FailurePolicy, Place, TestNamespace, WebhookConfig, Workspace, coder::Endpoint, poll};
use serde_json::{Value, json};

use crate::{
    events::marker,
    metrics::metric_count,
    review::{Poster, creation},
    support::{PATIENCE, TestContext, count, fingerprint, texts, token, wait_for_metric},
};

const PREFIX: &str = "logstream.coder.com/";

fn reviews(kind: &str, outcome: &str) -> String {
    format!("admission_reviews_total{{kind=\"{kind}\",outcome=\"{outcome}\"}}")
}

/// The product's annotations, without their prefix.
fn ours(annotations: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    annotations.iter().filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value.as_str()))).collect()
}

const DRY_RUN: PostParams = PostParams { dry_run: true, field_manager: None };

/// Creates a pod by dry run.
async fn dry_run(context: &TestContext, pod: &Value) -> Result<Pod> {
    Ok(context.api::<Pod>().create(&DRY_RUN, &serde_json::from_value(pod.clone())?).await?)
}

#[tokio::test]
async fn a_pods_annotations_show_its_owner_and_agents() -> Result<()> {
    let context = TestContext::new("annotations").await?;
    let _installation = context.install().await?;
    let agent = context.agent();
    let pod = context.create(&Workspace::new(context.namespace.name(), "alice", "dev", &agent).pod()).await?;
    let shown = ours(pod.annotations());
    assert_eq!(shown["owner"], "alice");
    assert_eq!(shown["workspace"], "dev");
    assert_eq!(shown["agents"], format!("dev={}", fingerprint(&agent)));
    let created = pod.creation_timestamp().context("a stored object")?.0;
    let recorded: jiff::Timestamp = shown["recorded-at"].parse()?;
    assert!(created.duration_since(recorded).abs() <= jiff::SignedDuration::from_secs(2), "{recorded} {created}");
    uuid::Uuid::try_parse(shown["registration"])?;
    assert_eq!(shown.len(), 5, "{shown:?}");
    let described = context.cluster.kubectl(&["describe", "pod", &pod.name_any(), "-n", context.namespace.name()])?;
    assert!(described.contains("logstream.coder.com/owner: alice"), "{described}");
    Ok(())
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_not_announced() -> Result<()> {
    let context = TestContext::new("unread-reference").await?;
    let _installation = context.plan().arg("--resolve-references=false").install(context.cluster).await?;
    let (plain, referenced) = (context.agent(), context.agent());
    let workspace = |name: &str, agent: &str| Workspace::new(context.namespace.name(), "alice", name, agent);
    for place in [Place::SecretKey, Place::ConfigMapKey, Place::SecretEnv, Place::ConfigMapEnv, Place::SecretFile] {
        let pod = dry_run(&context, &workspace("referenced", &referenced).token_in(place).pod()).await?;
        assert_eq!(ours(pod.annotations()), BTreeMap::new());
    }
    let pod = dry_run(&context, &workspace("plain", &plain).pod()).await?;
    assert_eq!(ours(pod.annotations())["agents"], format!("dev={}", fingerprint(&plain)));
    Ok(())
}

#[tokio::test]
async fn a_pod_without_labels_is_known_by_its_name() -> Result<()> {
    let context = TestContext::new("envbox").await?;
    let _installation = context.install().await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "gpu-box", &agent).without_labels();
    let pod = context.create(&workspace.pod()).await?;
    let shown = ours(pod.annotations());
    assert_eq!((shown["owner"], shown["workspace"]), ("alice", "gpu-box"));
    context.wait_for(&agent, &["🐳 Created pod: coder-alice-gpu-box"]).await?;
    Ok(())
}

#[tokio::test]
async fn forged_annotations_are_overwritten() -> Result<()> {
    let context = TestContext::new("overwritten").await?;
    let _installation = context.install().await?;
    let (agent, stranger) = (context.agent(), context.agent());
    // Copied from an annotated pod of another owner.
    let template = context.create(&Workspace::new(context.namespace.name(), "bob", "web", &stranger).pod()).await?;
    let mut pod = Workspace::new(context.namespace.name(), "alice", "dev", &agent).pod();
    for (key, value) in template.annotations().iter().filter(|(key, _)| key.starts_with(PREFIX)) {
        pod["metadata"]["annotations"][key] = value.as_str().into();
    }
    let pod = context.create(&pod).await?;
    let (shown, copied) = (ours(pod.annotations()), ours(template.annotations()));
    assert_eq!((shown["owner"], shown["workspace"]), ("alice", "dev"));
    assert_eq!(shown["agents"], format!("dev={}", fingerprint(&agent)));
    assert_ne!(shown["registration"], copied["registration"]);
    let lines = marker(&context, &agent, &pod).await?;
    assert_eq!(count(&lines, "coder-bob-web"), 0, "{:#?}", texts(&lines));
    let lines = marker(&context, &stranger, &template).await?;
    assert_eq!(count(&lines, "coder-alice-dev"), 0, "{:#?}", texts(&lines));
    Ok(())
}

#[tokio::test]
async fn a_dry_run_is_patched_but_not_recorded() -> Result<()> {
    let context = TestContext::new("dry-run").await?;
    let installation = context.install().await?;
    // The installation has already probed the webhook by dry runs.
    let before = metric_count(&installation, &reviews("Pod", "dry_run")).await?;
    let agent = context.agent();
    let manifest = Workspace::new(context.namespace.name(), "alice", "dev", &agent).pod();
    let pod = dry_run(&context, &manifest).await?;
    assert_eq!(ours(pod.annotations())["owner"], "alice");
    assert_eq!(metric_count(&installation, &reviews("Pod", "dry_run")).await?, before + 1);
    assert_eq!(metric_count(&installation, "admission_registrations_total").await?, 0);
    assert_eq!(metric_count(&installation, "pending_registrations").await?, 0);
    // A created pod is registered, and its log source is posted ahead.
    let another = context.agent();
    let real = context.create(&Workspace::new(context.namespace.name(), "alice", "real", &another).pod()).await?;
    marker(&context, &another, &real).await?;
    assert_eq!(metric_count(&installation, "admission_registrations_total").await?, 1);
    assert_eq!(context.coder.requests_of(&agent, Endpoint::LogSource), 0);
    Ok(())
}

#[tokio::test]
async fn a_second_review_of_the_same_pod_changes_nothing() -> Result<()> {
    let context = TestContext::new("twice").await?;
    let installation = context.install().await?;
    let namespace = context.namespace.name();
    let config = WebhookConfig::new(&installation.webhook_url(), &installation.ca_pem()?, &[namespace]);
    let _second = config.apply(context.cluster).await?;
    let probe = Workspace::new(namespace, "probe", "probe", &token()).pod();
    poll::eventually("the API server calls twice", PATIENCE, || async {
        let calls =
            async || metric_count(&installation, &reviews("Pod", "dry_run")).await.map_err(|error| error.to_string());
        let before = calls().await?;
        dry_run(&context, &probe).await.map_err(|error| error.to_string())?;
        match calls().await? - before {
            2 => Ok(()),
            times => Err(format!("{times} times")),
        }
    })
    .await?;
    let agent = context.agent();
    let pod = context.create(&Workspace::new(namespace, "alice", "dev", &agent).pod()).await?;
    assert_eq!(metric_count(&installation, &reviews("Pod", "patched")).await?, 1);
    assert_eq!(metric_count(&installation, &reviews("Pod", "recorded")).await?, 1);
    // The API server reinvokes the webhook if another webhook changed the pod meanwhile.
    let answer = Poster::new(&installation)?.post(&creation(&serde_json::to_value(&pod)?)).await?;
    assert!(answer.admits() && answer.patch()?.is_none(), "{answer:?}");
    let lines = marker(&context, &agent, &pod).await?;
    assert_eq!(count(&lines, "🐳 Created pod"), 1, "{:#?}", texts(&lines));
    assert_eq!(context.coder.requests_of(&agent, Endpoint::LogSource), 1);
    Ok(())
}

#[tokio::test]
async fn workloads_are_recorded_and_not_changed() -> Result<()> {
    let context = TestContext::new("recorded").await?;
    let installation = context.install().await?;
    let workspace = |name: &str| Workspace::new(context.namespace.name(), "alice", name, &context.agent());
    context.create(&workspace("deployment").deployment()).await?;
    let stateful_set = context.create(&workspace("sts").stateful_set()).await?;
    let job = context.create(&workspace("job").job()).await?;
    let replicaset = context.only("apps/v1", "ReplicaSet").await?;
    for (kind, object) in [("ReplicaSet", replicaset), ("StatefulSet", stateful_set), ("Job", job)] {
        assert_eq!(metric_count(&installation, &reviews(kind, "recorded")).await?, 1, "{kind}");
        let template = object.data["spec"]["template"]["metadata"]["annotations"].to_string();
        assert!(ours(object.annotations()).is_empty() && !template.contains(PREFIX), "{object:?}");
    }
    // After a registration the log source is posted before the object is known to exist.
    let agent = context.agent();
    let claimed = Workspace::new(context.namespace.name(), "alice", "claimed", &agent);
    let mut replicaset = claimed.deployment();
    replicaset["kind"] = "ReplicaSet".into();
    let answer = Poster::new(&installation)?.post(&creation(&replicaset)).await?;
    assert!(answer.admits() && answer.patch()?.is_none(), "{answer:?}");
    let prepared = |coder: &logstream_testing::CoderStandIn| coder.requests_of(&agent, Endpoint::LogSource) == 1;
    assert!(context.coder.wait_until(PATIENCE, prepared).await);
    assert_eq!(context.coder.requests_of(&agent, Endpoint::Logs), 0);
    Ok(())
}

/// Malformed reviews: descriptions and bodies.
fn malformed(namespace: &str) -> Vec<(&'static str, Vec<u8>)> {
    let pod = Workspace::new(namespace, "mallory", "dev", &token()).pod();
    let review = creation(&pod);
    let with = |place: &str, value: Value| {
        let mut review = review.clone();
        *review.pointer_mut(place).expect("a place of the review") = value;
        review.to_string().into_bytes()
    };
    let whole = review.to_string().into_bytes();
    let deep = [b"{\"a\":".repeat(100_000), b"1".to_vec()].concat();
    vec![
        ("nothing", Vec::new()),
        ("null", b"null".to_vec()),
        ("a list", b"[{}]".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("no JSON", b"\xff\xfe{".to_vec()),
        ("broken off", whole[..whole.len() / 2].to_vec()),
        ("too deep", deep),
        // One byte above the limit: the webhook closes the connection then, and would not read what is behind it.
        ("too large", vec![b' '; (4 << 20) + 1]),
        ("another version", with("/apiVersion", json!("admission.k8s.io/v1beta1"))),
        ("another kind", with("/kind", json!("Pod"))),
        ("no uid", with("/request/uid", json!(""))),
        ("a uid that is a number", with("/request/uid", json!(7))),
        ("a request that is a list", with("/request", json!([]))),
        ("no object", with("/request/object", Value::Null)),
        ("an object that is text", with("/request/object", json!("pod"))),
        ("metadata that is a list", with("/request/object/metadata", json!([]))),
        ("annotations that are numbers", with("/request/object/metadata/annotations", json!({ "a": 1 }))),
        ("containers that are an object", with("/request/object/spec/containers", json!({}))),
        ("environment that is a number", with("/request/object/spec/containers/0/env", json!(1))),
        ("a token that is a list", with("/request/object/spec/containers/0/env/0/value", json!([]))),
        ("another operation", with("/request/operation", json!("CONNECT"))),
        ("a namespace far too long", with("/request/namespace", json!("n".repeat(10_000)))),
    ]
}

#[tokio::test]
async fn invariant_3_malformed_reviews_are_rejected_or_admitted_safely() -> Result<()> {
    let context = TestContext::new("malformed").await?;
    let mut installation = context.install().await?;
    let poster = Poster::new(&installation)?;
    let (mut rejected, mut admitted) = (0, 0);
    for (what, body) in malformed(context.namespace.name()) {
        let answer = Poster::send(poster.request().body(body)).await.with_context(|| what.to_owned())?;
        if (400..500).contains(&answer.status) {
            rejected += 1;
        } else {
            assert!(answer.admits() && answer.patch()?.is_none(), "{what}: {answer:?}");
            admitted += 1;
        }
    }
    assert_eq!(Poster::send(poster.get()).await?.status, 405);
    let compressed = poster.request().header("content-encoding", "gzip").body("{}");
    assert_eq!(Poster::send(compressed).await?.status, 415);
    assert_eq!(metric_count(&installation, "admission_rejections_total").await?, rejected + 2);
    assert!(rejected >= 10 && admitted >= 7, "{rejected} {admitted}");
    assert_eq!(metric_count(&installation, &reviews("other", "panicked")).await?, 0);
    assert!(installation.product.ended().is_none());
    let agent = context.agent();
    let pod = context.create(&Workspace::new(context.namespace.name(), "alice", "dev", &agent).pod()).await?;
    assert_eq!(ours(pod.annotations())["owner"], "alice");
    marker(&context, &agent, &pod).await?;
    Ok(())
}

/// The parts of a pod that are the same for any two pods of one manifest.
fn bare(mut pod: DynamicObject) -> Value {
    pod.annotations_mut().retain(|key, _| !key.starts_with(PREFIX));
    let metadata = json!({ "labels": pod.metadata.labels, "annotations": pod.metadata.annotations });
    json!({ "metadata": metadata, "spec": pod.data["spec"] })
}

#[tokio::test]
async fn invariant_3_concurrent_pods_get_annotations_and_nothing_else() -> Result<()> {
    const PODS: usize = 120;
    let context = TestContext::new("many").await?;
    let untouched = TestNamespace::create(context.cluster, "many-untouched").await?;
    let installation = context.plan().failure_policy(FailurePolicy::Fail).install(context.cluster).await?;
    let manifest = |namespace: &str, number: usize, agent: &str| {
        let mut pod = Workspace::new(namespace, "alice", &format!("dev-{number}"), agent).pod();
        // Its volume has a random name.
        pod["spec"]["automountServiceAccountToken"] = false.into();
        pod
    };
    let make = async |number: usize| {
        let agent = context.agent();
        let pod = context.create(&manifest(context.namespace.name(), number, &agent)).await?;
        let pods: Api<DynamicObject> =
            Api::namespaced_with(context.client.clone(), untouched.name(), &ApiResource::erase::<Pod>(&()));
        let same = pods.create(&DRY_RUN, &serde_json::from_value(manifest(untouched.name(), number, &agent))?).await?;
        anyhow::ensure!(ours(pod.annotations()).len() == 5 && ours(same.annotations()).is_empty(), "{pod:?}");
        assert_eq!(bare(pod), bare(same));
        anyhow::Ok(agent)
    };
    let agents: Vec<String> = stream::iter(0..PODS).map(make).buffer_unordered(PODS).try_collect().await?;
    assert_eq!(metric_count(&installation, &reviews("Pod", "patched")).await?, PODS);
    for agent in &agents {
        context.wait_for(agent, &["🐳 Created pod: coder-alice-dev-"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn invariant_3_a_pod_with_an_invalid_token_is_admitted_unchanged() -> Result<()> {
    let context = TestContext::new("no-uuid").await?;
    let installation = context.plan().failure_policy(FailurePolicy::Fail).install(context.cluster).await?;
    let pod = context.create(&Workspace::new(context.namespace.name(), "alice", "dev", "hunter2").pod()).await?;
    assert!(ours(pod.annotations()).is_empty(), "{pod:?}");
    assert_eq!(metric_count(&installation, "admission_not_tokens_total").await?, 1);
    wait_for_metric(&installation, "facts_skipped_total{reason=\"not_a_token\"}", |count| count >= 1.0).await?;
    // Counted once, however often it changes: by now it runs.
    let pods = context.api::<Pod>();
    poll::eventually("the pod runs", PATIENCE, || async {
        let pod = pods.get(&pod.name_any()).await.map_err(|error| error.to_string())?;
        let phase = pod.status.and_then(|status| status.phase).unwrap_or_default();
        if phase == "Running" { Ok(()) } else { Err(phase) }
    })
    .await?;
    let agent = context.agent();
    let another = context.create(&Workspace::new(context.namespace.name(), "alice", "another", &agent).pod()).await?;
    context.wait_for(&agent, &["Successfully assigned"]).await?;
    marker(&context, &agent, &another).await?;
    assert_eq!(metric_count(&installation, "facts_skipped_total{reason=\"not_a_token\"}").await?, 1);
    Ok(())
}
