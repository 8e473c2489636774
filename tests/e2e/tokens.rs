//! Tokens: where they are found, and that they are never exposed.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::{
    apps::v1::ReplicaSet,
    core::v1::{ConfigMap, Event, Pod},
};
use kube::{ResourceExt, api::ListParams};
use logstream_testing::{
    Installation, Place, Scenario, Workspace,
    coder::{Endpoint, Fault},
};
use serde_json::json;

use crate::{
    events::{NewEvent, SOURCE, marker},
    metrics::metric_count,
    review::{Poster, creation},
    support::{PATIENCE, TestContext, count, fingerprint, only, texts, token, wait_for_metric},
};

const AGENTS: &str = "logstream.coder.com/agents";

/// Installs the program with access to Secrets and ConfigMaps.
async fn reading(test: &str) -> Result<(TestContext, Installation)> {
    let context = TestContext::new(test).await?;
    let installation = context.plan().reads_secrets().install(context.cluster).await?;
    Ok((context, installation))
}

/// Asserts that a pod's token is found in this place, and that its annotation shows the kind of place.
async fn a_pods_token_is_found_in(place: Place, test: &str, shown: &str) -> Result<()> {
    let (context, _installation) = reading(test).await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent).token_in(place);
    context.create(&workspace.token_object().context("a reference")?).await?;
    let pod = context.create(&workspace.pod()).await?;
    assert_eq!(pod.annotations().get(AGENTS), Some(&format!("dev={shown}")));
    context.wait_for(&agent, &["🐳 Created pod: coder-alice-dev", "Successfully assigned"]).await?;
    let lines = marker(&context, &agent, &pod).await?;
    only(&lines, "🐳 Created pod");
    only(&lines, "Successfully assigned");
    Ok(())
}

#[tokio::test]
async fn a_token_is_found_by_the_secret_key_ref_of_a_pod() -> Result<()> {
    a_pods_token_is_found_in(Place::SecretKey, "secret-key", "by-secret").await
}

#[tokio::test]
async fn a_token_is_found_by_the_config_map_key_ref_of_a_pod() -> Result<()> {
    a_pods_token_is_found_in(Place::ConfigMapKey, "configmap-key", "by-configmap").await
}

#[tokio::test]
async fn a_token_is_found_in_env_from_of_a_secret() -> Result<()> {
    a_pods_token_is_found_in(Place::SecretEnv, "secret-env", "by-secret").await
}

#[tokio::test]
async fn a_token_is_found_in_env_from_of_a_config_map() -> Result<()> {
    a_pods_token_is_found_in(Place::ConfigMapEnv, "configmap-env", "by-configmap").await
}

#[tokio::test]
async fn a_token_is_found_in_a_file_of_a_mounted_secret() -> Result<()> {
    a_pods_token_is_found_in(Place::SecretFile, "secret-file", "by-secret").await
}

#[tokio::test]
async fn a_rejected_pod_is_reported_by_the_replicasets_token() -> Result<()> {
    let (context, _installation) = reading("secret-replicaset").await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent)
        .token_in(Place::SecretKey)
        .service_account("nobody");
    context.create(&workspace.token_object().context("a reference")?).await?;
    context.create(&workspace.deployment()).await?;
    let refused = "serviceaccount \"nobody\" not found";
    let lines = context.wait_for(&agent, &["🐳 Queued pod from ReplicaSet", refused]).await?;
    assert!(texts(&lines)[0].starts_with("🐳 Queued pod from ReplicaSet"), "{:#?}", texts(&lines));
    Ok(())
}

#[tokio::test]
async fn events_before_the_secret_exists_are_reported_later() -> Result<()> {
    let (context, installation) = reading("secret-later").await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent).token_in(Place::SecretKey);
    let pod = context.create(&workspace.pod()).await?;
    wait_for_metric(&installation, "workspace_objects", |objects| objects >= 1.0).await?;
    NewEvent::warning(&pod, "Failed", "Error: secret \"coder-alice-dev\" not found").write(&context.client).await?;
    context.create(&workspace.token_object().context("a reference")?).await?;
    let lines = context.wait_for(&agent, &["🐳 Created pod", "Successfully assigned", "not found"]).await?;
    assert!(texts(&lines)[0].starts_with("🐳 Created pod"), "{:#?}", texts(&lines));
    let lines = marker(&context, &agent, &pod).await?;
    only(&lines, "🐳 Created pod");
    only(&lines, "Error: secret \"coder-alice-dev\" not found");
    Ok(())
}

#[tokio::test]
async fn a_secret_without_a_token_is_counted() -> Result<()> {
    let (context, installation) = reading("secret-no-token").await?;
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", "hunter2").token_in(Place::SecretKey);
    context.create(&workspace.token_object().context("a reference")?).await?;
    context.create(&workspace.pod()).await?;
    wait_for_metric(&installation, "watch_references_total{outcome=\"not_a_token\"}", |count| count >= 1.0).await?;
    wait_for_metric(&installation, "facts_skipped_total{reason=\"not_a_token\"}", |count| count >= 1.0).await?;
    assert_eq!(context.coder.requests_of("hunter2", Endpoint::LogSource), 0);
    assert!(!installation.product.output().contains("hunter2"));
    Ok(())
}

#[tokio::test]
async fn an_agent_in_an_init_container_is_a_workspace() -> Result<()> {
    let context = TestContext::new("init-agent").await?;
    let _installation = context.install().await?;
    let agent = context.agent();
    let workspace =
        Workspace::new(context.namespace.name(), "alice", "dev", &agent).agent_in_init_container("busybox:1.37");
    let pod = context.create(&workspace.pod()).await?;
    assert_eq!(pod.annotations().get(AGENTS), Some(&format!("prepare-home={}", fingerprint(&agent))));
    context.wait_for(&agent, &["🐳 Created pod: coder-alice-dev", "Successfully assigned"]).await?;
    Ok(())
}

#[tokio::test]
async fn two_agents_of_one_pod_get_the_same_lines() -> Result<()> {
    let context = TestContext::new("two-agents").await?;
    let _installation = context.install().await?;
    let (first, second) = (context.agent(), context.agent());
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &first)
        .another_agent("gpu", &second)
        .scenario(Scenario::Normal);
    let pod = context.create(&workspace.pod()).await?;
    let shown = format!("dev={},gpu={}", fingerprint(&first), fingerprint(&second));
    assert_eq!(pod.annotations().get(AGENTS), Some(&shown));
    for agent in [&first, &second] {
        context.wait_for(agent, &["🐳 Created pod: coder-alice-dev", "Container started"]).await?;
    }
    let marked = marker(&context, &first, &pod).await?;
    let last = texts(&marked).pop().context("the marker")?;
    context.wait_for(&second, &[&last]).await?;
    assert_eq!(texts(&marked), texts(&context.coder.lines(&second)));
    Ok(())
}

#[tokio::test]
async fn two_containers_with_one_token_are_one_agent() -> Result<()> {
    let context = TestContext::new("one-token").await?;
    let _installation = context.install().await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent)
        .another_agent("sidecar", &agent)
        .scenario(Scenario::Normal);
    let pod = context.create(&workspace.pod()).await?;
    context.wait_for(&agent, &["Container started"]).await?;
    let lines = marker(&context, &agent, &pod).await?;
    for text in ["🐳 Created pod", "Successfully assigned", "Pulling image", "Container started", "marker "] {
        only(&lines, text);
    }
    assert_eq!(context.coder.requests_of(&agent, Endpoint::LogSource), 1);
    Ok(())
}

/// Forms in which a token could be exposed.
fn forms(secret: &str) -> Vec<String> {
    let plain = secret.replace('-', "");
    vec![secret.to_uppercase(), STANDARD.encode(secret), plain.to_uppercase(), plain, secret.to_owned()]
}

/// Everything that the program exposes or stores, by place.
async fn shown(context: &TestContext, installation: &Installation) -> Result<BTreeMap<String, String>> {
    let mut shown = BTreeMap::new();
    shown.insert("output".to_owned(), installation.product.output());
    for path in ["/metrics", "/readyz?verbose", "/livez?verbose"] {
        let (_, body) = installation.product.get(&installation.health_url(path)).await?;
        shown.insert(path.to_owned(), body);
    }
    let all = ListParams::default();
    let pods = context.api::<Pod>().list(&all).await?;
    shown.insert(
        "annotations of pods".to_owned(),
        format!("{:?}", pods.iter().map(|pod| &pod.metadata).collect::<Vec<_>>()),
    );
    let sets = context.api::<ReplicaSet>().list(&all).await?;
    shown.insert("ReplicaSets".to_owned(), format!("{:?}", sets.iter().map(|set| &set.metadata).collect::<Vec<_>>()));
    let events = context.api::<Event>().list(&all).await?;
    let written = events
        .iter()
        .filter(|event| event.source.as_ref().and_then(|source| source.component.as_deref()) != Some(SOURCE));
    shown.insert("Events".to_owned(), serde_json::to_string(&written.collect::<Vec<_>>())?);
    let maps = context.api::<ConfigMap>().list(&all).await?;
    let progress = maps.iter().find(|map| map.name_any().ends_with("-progress")).context("the progress ConfigMap")?;
    shown.insert("progress".to_owned(), serde_json::to_string(progress)?);
    Ok(shown)
}

#[tokio::test]
async fn invariant_2_no_token_is_logged_exposed_or_stored() -> Result<()> {
    let context = TestContext::new("no-token-shown").await?;
    let plan = context.plan().reads_secrets().arg("--log-level=trace");
    let mut installation = plan.install(context.cluster).await?;
    let namespace = context.namespace.name();
    let (inline, referred, refused, broken) = (context.agent(), context.agent(), context.agent(), context.agent());
    let (unknown, malformed) = (token(), token());
    let no_token = format!("hunter2-{}", token());
    context.coder.fault(Fault::Html(502).to(&broken).times(1));
    context.coder.fault(Fault::CutBefore.to(&broken).times(1));
    context.coder.fault(Fault::Status(400).to(&broken).times(1));

    let workspace =
        |name: &str, agent: &str| Workspace::new(namespace, "alice", name, agent).scenario(Scenario::Normal);
    context.create(&workspace("inline", &inline).deployment()).await?;
    let in_secret = workspace("referred", &referred).token_in(Place::SecretKey);
    context.create(&in_secret.token_object().context("a reference")?).await?;
    context.create(&in_secret.deployment()).await?;
    context.create(&workspace("refused", &refused).service_account("nobody").deployment()).await?;
    let unsteady = context.create(&workspace("broken", &broken).pod()).await?;
    let nobody = context.create(&workspace("unknown", &unknown).pod()).await?;
    context.create(&workspace("no-token", &no_token).pod()).await?;
    // Tokens in Event messages, and in unexpected places of a review.
    let spilled = format!("exec: \"./agent --token {inline}\" failed, and $TOKEN={unknown}");
    let deployed = context.only_of("v1", "Pod", "com.coder.workspace.name=inline").await?;
    NewEvent::warning(&deployed, "Failed", &spilled).write(&context.client).await?;
    NewEvent::warning(&nobody, "Failed", &spilled).write(&context.client).await?;
    let poster = Poster::new(&installation)?;
    let mut review = creation(&workspace("malformed", &malformed).pod());
    for place in ["/request/object/spec/containers/0/env", "/request/object/metadata", "/request/object", "/request"] {
        *review.pointer_mut(place).context(place)? = json!(malformed);
        poster.post(&review).await?;
    }
    let whole = creation(&workspace("cut", &malformed).pod()).to_string();
    poster.post_text(&whole[..whole.len() - 3]).await?;

    context.wait_for(&inline, &["Container started", "failed, and"]).await?;
    context.wait_for(&referred, &["Container started"]).await?;
    context.wait_for(&refused, &["\"nobody\" not found"]).await?;
    marker(&context, &broken, &unsteady).await?;
    let requests = |context: &logstream_testing::CoderStandIn| context.requests_of(&unknown, Endpoint::LogSource) > 0;
    assert!(context.coder.wait_until(PATIENCE, requests).await);
    wait_for_metric(&installation, "facts_skipped_total{reason=\"not_a_token\"}", |count| count >= 1.0).await?;
    assert_eq!(count(&context.coder.lines(&inline), &inline), 0, "a token in a message is masked");
    assert!(
        metric_count(&installation, "admission_reviews_total{kind=\"Pod\",outcome=\"not_understood\"}").await? >= 1
    );

    let mut everything = shown(&context, &installation).await?;
    installation.product.sigterm_and_wait(PATIENCE)?;
    everything.insert("output to the end".to_owned(), installation.product.output());
    // A positive control: fingerprints are found.
    let output = &everything["output to the end"];
    for agent in [&inline, &referred, &refused, &broken, &unknown] {
        assert!(output.contains(&fingerprint(agent)), "{output}");
    }
    assert!(everything["annotations of pods"].contains(&fingerprint(&inline)));
    for secret in [&inline, &referred, &refused, &broken, &unknown, &malformed, &no_token] {
        for form in forms(secret) {
            for (place, text) in &everything {
                let at = text.find(&form).map(|at| &text[at.saturating_sub(200)..(at + 100).min(text.len())]);
                assert_eq!(at, None, "{form} is in the {place}");
            }
        }
    }
    Ok(())
}
