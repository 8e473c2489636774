//! The demo's two namespaces: one for workspaces, one with an exhausted quota.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Namespace, ResourceQuota, ServiceAccount};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use logstream_testing::{Admin, poll, scenarios};
use serde_json::json;
use uuid::Uuid;

use crate::blocking::blocking;
use crate::steps::step;
use crate::style::Style;

/// Deadline of waits. The controllers take less than a second.
const PATIENCE: Duration = Duration::from_mins(1);

/// The namespaces. In an existing cluster they are deleted on drop.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// Namespace of the product and the workspaces.
    pub(crate) workspaces: String,
    /// Namespace with a quota of no pods.
    pub(crate) full: String,
    deleted_by: Option<Admin>,
}

impl Namespaces {
    /// Creates them in the demo's own cluster, which is removed as a whole.
    pub(crate) async fn in_own_cluster(style: Style, client: &Client, admin: &Admin) -> Result<Self> {
        let names = Self { workspaces: "coder-workspaces".to_owned(), full: "coder-full".to_owned(), deleted_by: None };
        names.create(style, client, admin).await
    }

    /// Creates them with unique names.
    pub(crate) async fn in_existing_cluster(style: Style, client: &Client, admin: &Admin) -> Result<Self> {
        let unique = Uuid::new_v4().simple().to_string();
        let names = Self {
            workspaces: format!("logstream-demo-{}", &unique[..8]),
            full: format!("logstream-demo-{}-full", &unique[..8]),
            deleted_by: Some(admin.clone()),
        };
        names.create(style, client, admin).await
    }

    /// Both names.
    pub(crate) fn all(&self) -> [&str; 2] {
        [&self.workspaces, &self.full]
    }

    /// Creates both. On failure `self` is dropped, which deletes them.
    async fn create(self, style: Style, client: &Client, admin: &Admin) -> Result<Self> {
        let create = async {
            for name in self.all() {
                create(client, name).await.with_context(|| format!("namespace {name}"))?;
            }
            fill(client, admin, &self.full).await?;
            Ok(((), format!("created the namespaces {} and {} (with a quota of 0 pods)", self.workspaces, self.full)))
        };
        step(style, "creating namespaces", create).await?;
        Ok(self)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        if let Some(admin) = &self.deleted_by {
            let _ = admin.kubectl(&["delete", "namespace", &self.workspaces, &self.full, "--wait=false"]);
        }
    }
}

/// Creates a namespace and waits until pods can be created in it.
async fn create(client: &Client, name: &str) -> Result<()> {
    let labels = json!({ "app.kubernetes.io/created-by": "coder-logstream-kube-demo" });
    let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } }))?;
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    poll::eventually("its ServiceAccount", PATIENCE, || accounts.get("default")).await?;
    Ok(())
}

/// Applies a quota of no pods and waits until it is enforced: before that, pods are rejected for another reason.
async fn fill(client: &Client, admin: &Admin, name: &str) -> Result<()> {
    let (admin, namespace) = (admin.clone(), name.to_owned());
    blocking(move || admin.kubectl_with(&["apply", "-n", &namespace, "-f", "-"], scenarios::QUOTA)).await?;
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), name);
    poll::eventually("the quota is in force", PATIENCE, || async {
        let quotas = quotas.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let known = |quota: &ResourceQuota| quota.status.as_ref().is_some_and(|status| status.used.is_some());
        if quotas.items.iter().any(known) { Ok(()) } else { Err("no status".to_owned()) }
    })
    .await
}
