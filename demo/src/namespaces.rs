//! Two namespaces of the demo's own: one for workspaces, one whose quota is used up.

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

/// The controllers do this within a second.
const PATIENCE: Duration = Duration::from_mins(1);

/// The namespaces. In an existing cluster they are deleted when this is dropped.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// Where the product and the workspaces are.
    pub(crate) workspaces: String,
    /// Where no pod fits into the quota.
    pub(crate) full: String,
    deleted_by: Option<Admin>,
}

impl Namespaces {
    /// In a cluster that goes away as a whole.
    pub(crate) async fn in_own_cluster(style: Style, client: &Client, admin: &Admin) -> Result<Self> {
        let names = Self { workspaces: "coder-workspaces".to_owned(), full: "coder-full".to_owned(), deleted_by: None };
        names.create(style, client, admin).await
    }

    /// With names that nobody else has.
    pub(crate) async fn in_existing_cluster(style: Style, client: &Client, admin: &Admin) -> Result<Self> {
        let unique = Uuid::new_v4().simple().to_string();
        let names = Self {
            workspaces: format!("logstream-demo-{}", &unique[..8]),
            full: format!("logstream-demo-{}-full", &unique[..8]),
            deleted_by: Some(admin.clone()),
        };
        names.create(style, client, admin).await
    }

    /// Both.
    pub(crate) fn all(&self) -> [&str; 2] {
        [&self.workspaces, &self.full]
    }

    /// Dropped when it fails, and so deleted.
    async fn create(self, style: Style, client: &Client, admin: &Admin) -> Result<Self> {
        let create = async {
            for name in self.all() {
                create(client, name).await.with_context(|| format!("namespace {name}"))?;
            }
            fill(client, admin, &self.full).await?;
            Ok(((), format!("made the namespaces {} and {}, whose quota is 0 pods", self.workspaces, self.full)))
        };
        step(style, "making namespaces", create).await?;
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

/// Makes a namespace, and waits until pods can be made in it.
async fn create(client: &Client, name: &str) -> Result<()> {
    let labels = json!({ "app.kubernetes.io/created-by": "coder-logstream-kube-demo" });
    let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } }))?;
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    poll::eventually("its ServiceAccount", PATIENCE, || accounts.get("default")).await?;
    Ok(())
}

/// Gives a namespace the quota of no pods, and waits until the quota is known: before, a refusal has another reason.
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
