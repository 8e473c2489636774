//! Whether the API server asks the product's webhook, and whom that answers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use tokio::net::TcpStream;

use crate::installation::SEEN_BY_WEBHOOK;
use crate::pki::{self, ClientCertificate};
use crate::{Admin, Workspace, poll};

/// A new configuration is acted on within a second or two.
const PATIENCE: Duration = Duration::from_mins(1);

const DRY_RUN: PostParams = PostParams { dry_run: true, field_manager: None };

/// Creates a pod of a workspace without keeping it until the API server has asked about it, or has not.
pub async fn wait_asked(admin: &impl AsRef<Admin>, namespace: &str, wanted: bool) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(admin.as_ref().client().await?, namespace);
    let probe = probe(namespace)?;
    let what = if wanted { "the API server asks the webhook" } else { "the API server asks the webhook no more" };
    poll::eventually(what, PATIENCE, || async {
        let pod = pods.create(&DRY_RUN, &probe).await.map_err(|error| error.to_string())?;
        let asked = pod.metadata.annotations.unwrap_or_default().contains_key(SEEN_BY_WEBHOOK);
        if asked == wanted { Ok(()) } else { Err(format!("asked: {asked}")) }
    })
    .await
}

/// Creates a pod of a workspace without keeping it until the product has counted another review. Unlike [`wait_asked`] it does
/// not depend on what the product answers, which may be nothing for a pod that is not selected.
pub async fn wait_reviewed(
    admin: &impl AsRef<Admin>,
    namespace: &str,
    reviews: impl AsyncFn() -> Result<f64>,
) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(admin.as_ref().client().await?, namespace);
    let probe = probe(namespace)?;
    let before = reviews().await?;
    poll::eventually("the API server asks the webhook", PATIENCE, || async {
        pods.create(&DRY_RUN, &probe).await.map_err(|error| error.to_string())?;
        let counted = reviews().await.map_err(|error| error.to_string())?;
        if counted > before { Ok(()) } else { Err("no review was counted".to_owned()) }
    })
    .await
}

fn probe(namespace: &str) -> Result<Pod> {
    let token = "00000000-0000-4000-8000-000000000000";
    Ok(serde_json::from_value(Workspace::new(namespace, "probe", "probe", token).pod())?)
}

/// Whether a webhook answers a caller who shows this certificate, or none: one whom it turns away has no answer. That
/// nobody listens, or that it takes long, is an error.
pub async fn answers(webhook: SocketAddr, caller: Option<&ClientCertificate>) -> Result<bool> {
    pki::install_crypto_provider();
    TcpStream::connect(webhook).await.context("somebody listens")?;
    // Whether the server is who it says is not the question here.
    let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).no_proxy().timeout(PATIENCE);
    let client = match caller {
        Some(ClientCertificate { certificate, key, .. }) => {
            client.identity(reqwest::Identity::from_pem(format!("{certificate}{key}").as_bytes())?)
        }
        None => client,
    };
    match client.build()?.post(format!("https://{webhook}/mutate")).body("{}").send().await {
        Ok(_) => Ok(true),
        Err(error) if error.is_timeout() => Err(error.into()),
        Err(_) => Ok(false),
    }
}
