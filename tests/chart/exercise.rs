//! Exercises that make a release use all of its permissions.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use logstream_testing::installation::SEEN_BY_WEBHOOK;
use logstream_testing::release::{Review, requests_of};
use logstream_testing::workspace::Place;
use logstream_testing::{Scenario, Workspace, poll, webhook_probe::wait_called};
use serde_json::json;

use crate::context::{PATIENCE, TestContext};

/// Kinds that the program looks up by name, with their API versions.
const LOOKED_UP: [(&str, &str); 4] =
    [("apps/v1", "Deployment"), ("apps/v1", "ReplicaSet"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job")];

impl TestContext {
    /// Starts a workspace in a namespace and waits for its lines. Asserts by its pod's annotation that the webhook was
    /// called, or was not.
    pub(crate) async fn workspace_is_streamed(&self, namespace: &str, by_webhook: bool) -> Result<()> {
        wait_called(self.cluster, namespace, by_webhook).await?;
        let agent = self.agent();
        let owner = format!("u{}", &agent[..8]);
        let workspace = Workspace::new(namespace, &owner, "dev", &agent).scenario(Scenario::Normal);
        self.create(&workspace.deployment()).await?;
        self.coder
            .wait_for_lines(&agent, PATIENCE, |lines| {
                let shown = |text: &str| lines.iter().any(|line| line.plain().contains(text));
                shown("🐳 Queued pod from ReplicaSet") && shown("🐳 Created pod") && shown("Container started")
            })
            .await
            .with_context(|| format!("the lines of a workspace in {namespace}"))?;
        let pods = self.pods(namespace, &format!("com.coder.user.username={owner}")).await?;
        let pod = pods.first().context("the workspace has a pod")?;
        let annotations = pod.metadata.annotations.clone().unwrap_or_default();
        ensure!(
            annotations.contains_key(SEEN_BY_WEBHOOK) == by_webhook,
            "called the webhook should be {by_webhook}: {annotations:?}"
        );
        Ok(())
    }

    /// Asserts that tokens in a Secret and a ConfigMap are found.
    pub(crate) async fn tokens_elsewhere_are_found(&self, namespace: &str) -> Result<()> {
        for place in [Place::SecretKey, Place::ConfigMapKey] {
            let agent = self.agent();
            let owner = format!("u{}", &agent[..8]);
            let workspace = Workspace::new(namespace, &owner, "dev", &agent).scenario(Scenario::Normal).token_in(place);
            self.create(&workspace.token_object().context("the token is elsewhere")?).await?;
            self.create(&workspace.deployment()).await?;
            let lines = self.coder.wait_for_lines(&agent, PATIENCE, |lines| !lines.is_empty()).await;
            lines.with_context(|| format!("a token by {place:?} in {namespace}"))?;
        }
        Ok(())
    }

    /// Writes Events about unknown workloads, which the program looks up.
    pub(crate) async fn unknown_workloads_are_looked_up(&self, namespace: &str) -> Result<()> {
        #[expect(clippy::disallowed_methods, reason = "Events carry the real time")]
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        for (api_version, kind) in LOOKED_UP {
            let uid = uuid::Uuid::new_v4().to_string();
            self.create(&json!({
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": { "name": format!("unknown.{uid}"), "namespace": namespace },
                "involvedObject": {
                    "apiVersion": api_version, "kind": kind, "namespace": namespace, "name": "unknown", "uid": uid,
                },
                "type": "Warning",
                "reason": "FailedCreate",
                "message": "of an unknown workload",
                "source": { "component": "test" },
                "count": 1,
                "firstTimestamp": now,
                "lastTimestamp": now,
            }))
            .await?;
        }
        Ok(())
    }

    /// Deletes the objects that the program creates in its namespace and waits until it recreates them. `secret`
    /// includes the Secret of a self-managed certificate.
    pub(crate) async fn created_objects_are_recreated(&self, namespace: &str, secret: bool) -> Result<()> {
        let home = self.release.namespace();
        let (maps, secrets) = (
            Api::<ConfigMap>::namespaced(self.client.clone(), home),
            Api::<Secret>::namespaced(self.client.clone(), home),
        );
        let name = format!("{}-self-managed", self.release.full_name());
        if secret {
            secrets.delete(&name, &DeleteParams::default()).await?;
        }
        let progress = format!("{}-progress", self.release.full_name());
        maps.delete(&progress, &DeleteParams::default()).await?;
        // Creates something to save.
        let agent = self.agent();
        let owner = format!("u{}", &agent[..8]);
        self.create(&Workspace::new(namespace, &owner, "again", &agent).pod()).await?;
        poll::eventually("the progress is saved again", PATIENCE, || async {
            let map = maps.get(&progress).await.map_err(|error| error.to_string())?;
            map.data.map(drop).ok_or_else(|| "it has no data".to_owned())
        })
        .await?;
        if secret {
            poll::eventually("the certificate is saved again", PATIENCE, || async {
                let secret = secrets.get(&name).await.map_err(|error| error.to_string())?;
                let keys = secret.data.unwrap_or_default();
                if keys.contains_key("tls.crt") { Ok(()) } else { Err(format!("{:?}", keys.keys())) }
            })
            .await?;
        }
        Ok(())
    }

    /// Writes another holder into the Lease and waits until it has expired. Meanwhile the program watches the Lease.
    pub(crate) async fn another_replica_leads_for_a_while(&self) -> Result<()> {
        let leases = Api::<Lease>::namespaced(self.client.clone(), self.release.namespace());
        let name = self.release.full_name();
        let other = Patch::Merge(json!({ "spec": { "holderIdentity": "another" } }));
        leases.patch(&name, &PatchParams::default(), &other).await?;
        poll::eventually("the program leads again", PATIENCE, || async {
            let lease = leases.get(&name).await.map_err(|error| error.to_string())?;
            let holder = lease.spec.and_then(|spec| spec.holder_identity);
            if holder.as_deref() == Some("another") { Err("another does") } else { Ok(()) }.map_err(str::to_owned)
        })
        .await
    }

    /// Runs all exercises in these namespaces. Asserts that the release used each permission, and that no request was
    /// forbidden.
    pub(crate) async fn exercise(&self, namespaces: &[&str], modes: Modes) -> Result<()> {
        for namespace in namespaces {
            self.workspace_is_streamed(namespace, modes.webhook).await?;
            self.unknown_workloads_are_looked_up(namespace).await?;
            if modes.read_secrets {
                self.tokens_elsewhere_are_found(namespace).await?;
            }
        }
        self.created_objects_are_recreated(namespaces[0], modes.self_managed).await?;
        self.another_replica_leads_for_a_while().await?;
        self.permissions_fit().await
    }

    /// Waits until each permission is used. Asserts that none is missing.
    pub(crate) async fn permissions_fit(&self) -> Result<()> {
        let (grants, user) = (self.release.grants().await?, self.release.user().await?);
        ensure!(!grants.0.is_empty(), "{user} has no permissions");
        let review = || requests_of(self.cluster, &user).map(|requests| grants.review(&requests));
        let fits = |review: &Review| review.is_clean() || review.is_refused();
        let waited = poll::eventually("each permission is used", PATIENCE, || async {
            review()
                .map_err(|error| error.to_string())
                .and_then(|review| if fits(&review) { Ok(()) } else { Err("some are unused".to_owned()) })
        })
        .await;
        let review = review()?;
        waited.with_context(|| format!("permissions of {user}:\n{review}"))?;
        ensure!(!review.is_refused(), "a request of {user} was forbidden:\n{review}");
        println!("{review}");
        Ok(())
    }
}

/// Settings that give a release more permissions.
#[derive(Clone, Copy)]
pub(crate) struct Modes {
    pub(crate) webhook: bool,
    pub(crate) self_managed: bool,
    pub(crate) read_secrets: bool,
}

impl Modes {
    /// The chart's defaults.
    pub(crate) const DEFAULT: Self = Self { webhook: true, self_managed: true, read_secrets: false };
}
