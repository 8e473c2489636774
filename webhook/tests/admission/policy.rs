//! The configured selection, as applied by the webhook.

use std::sync::Arc;

use crate::common::{Webhook, fixture};
use logstream_core::resource::Kind;
use logstream_core::token::AgentToken;
use logstream_webhook::{Outcome, Policy};
use serde_json::{Value, json};

const ALICE: &str = "11111111-2222-4333-8444-555555555555";
const AGENTS: &str = "logstream.coder.com/agents";

fn only_team_a() -> Policy {
    Policy::default().with_labels(Arc::new(|labels| labels.get("team").is_some_and(|team| team == "a")))
}

/// A captured review whose pod, or whose pod template, has one label.
fn labelled(name: &str, team: &str) -> Value {
    let mut review = fixture(name);
    let object = &mut review["request"]["object"];
    let pod = if name.starts_with("pod") { object } else { &mut object["spec"]["template"] };
    pod["metadata"]["labels"]["team"] = team.into();
    review
}

#[tokio::test]
async fn pods_and_workloads_that_are_not_selected_are_not_recorded() {
    for (name, kind) in [("pod", Some(Kind::Pod)), ("replicaset-of-deployment", Some(Kind::ReplicaSet))] {
        let webhook = Webhook::with(only_team_a());
        assert_eq!(webhook.review(&labelled(name, "b")).await.patch(), None, "{name}");
        assert_eq!(webhook.review(&fixture(name)).await.patch(), None, "{name}");
        assert_eq!(webhook.recorder.all(), [], "{name}");
        assert_eq!(webhook.metrics.reviews(kind, Outcome::Unchanged), 2, "{name}");
        webhook.review(&labelled(name, "a")).await;
        assert_eq!(webhook.recorder.all().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_workload_is_matched_by_its_pod_template() {
    let webhook = Webhook::with(only_team_a());
    let mut review = labelled("replicaset-of-deployment", "b");
    review["request"]["object"]["metadata"]["labels"]["team"] = "a".into();
    webhook.review(&review).await;
    assert_eq!(webhook.recorder.all(), []);
}

#[tokio::test]
async fn a_selected_pod_is_annotated() {
    let webhook = Webhook::with(only_team_a());
    let review = labelled("pod", "a");
    let after = webhook.review(&review).await.apply(&review);
    assert_ne!(after["metadata"]["annotations"][AGENTS], Value::Null);
}

#[tokio::test]
async fn a_pod_to_be_confirmed_is_recorded_without_tokens() {
    for name in ["pod", "pod-of-replicaset", "replicaset-of-deployment"] {
        let webhook = Webhook::with(Policy::default().confirmed_by_watch());
        assert_eq!(webhook.review(&fixture(name)).await.patch(), None, "{name}");
        let [registration] = &webhook.recorder.all()[..] else { panic!("{name}") };
        assert_eq!(registration.tokens, [], "{name}");
    }
}

#[tokio::test]
async fn agents_with_an_unread_token_are_not_announced() {
    let webhook = Webhook::with(Policy::default().without_references());
    let review = fixture("pod");
    let after = webhook.review(&review).await.apply(&review);
    let fingerprint = AgentToken::parse(ALICE).unwrap().fingerprint();
    assert_eq!(after["metadata"]["annotations"][AGENTS], format!("dev={fingerprint}"));

    let mut review = fixture("pod");
    let container = json!({
        "name": "dev",
        "env": [{"name": "CODER_AGENT_TOKEN", "valueFrom": {"secretKeyRef": {"name": "agent", "key": "token"}}}],
    });
    review["request"]["object"]["spec"]["initContainers"] = json!([]);
    for token_source in [container, json!({"name": "dev", "envFrom": [{"configMapRef": {"name": "agent"}}]})] {
        review["request"]["object"]["spec"]["containers"] = json!([token_source]);
        let webhook = Webhook::with(Policy::default().without_references());
        assert_eq!(webhook.review(&review).await.patch(), None);
        assert_eq!(webhook.recorder.all(), []);
        let webhook = Webhook::new();
        assert!(webhook.review(&review).await.patch().is_some());
    }
}
