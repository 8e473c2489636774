//! One namespace per test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::Result;
use serde_json::json;

use super::{Admin, Cluster};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// The namespace of one test. Deleted on drop; if the test fails, its pods and Events are printed first.
#[derive(Debug)]
pub struct TestNamespace {
    name: String,
    admin: Admin,
}

impl TestNamespace {
    /// Creates a namespace with a unique name that begins with the test's, labelled `scenario.test/test`, and waits
    /// until pods can be created in it.
    pub async fn create(cluster: &Cluster, test: &str) -> Result<Self> {
        Self::create_labelled(cluster, test, &[]).await
    }

    /// As [`TestNamespace::create`], with more labels, such as those of PodSecurity.
    pub async fn create_labelled(cluster: &Cluster, test: &str, labels: &[(&str, &str)]) -> Result<Self> {
        use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
        use kube::Api;
        use kube::api::PostParams;

        let label = label(test);
        // The process ID makes it unique in a cluster shared by several processes.
        let name = format!("{label}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut all = serde_json::Map::new();
        all.insert("scenario.test/test".to_owned(), label.clone().into());
        all.extend(labels.iter().map(|&(key, value)| (key.to_owned(), value.into())));
        let object: Namespace = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": all },
        }))?;
        let client = cluster.admin_client().await?;
        Api::all(client.clone()).create(&PostParams::default(), &object).await?;
        let created = Self { name, admin: cluster.admin.clone() };
        if cluster.options.components == super::Components::Full {
            let accounts: Api<ServiceAccount> = Api::namespaced(client, &created.name);
            let what = "the ServiceAccount of a new namespace";
            crate::poll::eventually(what, super::START, || accounts.get("default")).await?;
        }
        Ok(created)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        let run = |arguments: &[&str]| self.admin.kubectl(arguments);
        if thread::panicking() {
            eprintln!("namespace {} as it was when the test failed:", self.name);
            let pods = ["get", "pods,replicasets,statefulsets,jobs", "-o", "wide", "-n", &self.name];
            let events = ["get", "events", "--sort-by=.metadata.creationTimestamp", "-n", &self.name];
            for arguments in [&pods[..], &events[..]] {
                match run(arguments) {
                    Ok(text) => eprintln!("{text}"),
                    Err(error) => eprintln!("{error:#}"),
                }
            }
        }
        let _ = run(&["delete", "namespace", &self.name, "--wait=false"]);
    }
}

/// Turns a test's name into a valid label value and prefix of a name.
fn label(test: &str) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' };
    let mapped: String = test.chars().map(plain).take(40).collect();
    let trimmed = mapped.trim_matches('-');
    if trimmed.is_empty() { "test".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn a_label_has_only_valid_characters() {
        assert_eq!(label("harness::Deployment_runs"), "harness--deployment-runs");
        assert_eq!(label("_é_"), "test");
        assert_eq!(label(&"a".repeat(80)).len(), 40);
    }
}
