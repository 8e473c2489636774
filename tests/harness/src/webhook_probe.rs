//! Probes of the product's webhook: through the API server with a dry-run pod, and directly over TLS.

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

/// Deadline of a probe. The API server picks up a new webhook configuration within a second or two.
const PATIENCE: Duration = Duration::from_mins(1);

const DRY_RUN: PostParams = PostParams { dry_run: true, field_manager: None };

/// Creates a workspace pod by dry run until the API server calls the webhook for it (`wanted`), or no longer does.
pub async fn wait_called(admin: &impl AsRef<Admin>, namespace: &str, wanted: bool) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(admin.as_ref().client().await?, namespace);
    let probe = probe(namespace)?;
    let what = if wanted { "the API server calls the webhook" } else { "the API server stops calling the webhook" };
    poll::eventually(what, PATIENCE, || async {
        let pod = pods.create(&DRY_RUN, &probe).await.map_err(|error| error.to_string())?;
        let called = pod.metadata.annotations.unwrap_or_default().contains_key(SEEN_BY_WEBHOOK);
        if called == wanted { Ok(()) } else { Err(format!("called: {called}")) }
    })
    .await
}

/// Creates a workspace pod by dry run until the product has counted another review. Unlike [`wait_called`] it does not
/// depend on the product's patch, which is empty for a pod that is not selected.
pub async fn wait_reviewed(
    admin: &impl AsRef<Admin>,
    namespace: &str,
    reviews: impl AsyncFn() -> Result<f64>,
) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(admin.as_ref().client().await?, namespace);
    let probe = probe(namespace)?;
    let before = reviews().await?;
    poll::eventually("the API server calls the webhook", PATIENCE, || async {
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

/// Returns true if the webhook answers a client with this certificate (or without one), false if it ends the handshake.
/// A refused connection and a timeout are errors.
pub async fn accepts(webhook: SocketAddr, client_certificate: Option<&ClientCertificate>) -> Result<bool> {
    pki::install_crypto_provider();
    TcpStream::connect(webhook).await.context("nothing listens")?;
    // The server's own certificate is not under test here.
    let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).no_proxy().timeout(PATIENCE);
    let client = match client_certificate {
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
