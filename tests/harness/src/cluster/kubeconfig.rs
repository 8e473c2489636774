//! Kubeconfigs and clients.

use anyhow::Result;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use crate::pki;

/// The text of a kubeconfig (JSON, which is valid YAML).
pub(super) fn document(server: &str, ca_pem: &str, token: &str) -> String {
    let named = "test";
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": named,
            "cluster": { "server": server, "certificate-authority-data": base64(ca_pem.as_bytes()) },
        }],
        "users": [{ "name": named, "user": { "token": token } }],
        "contexts": [{ "name": named, "context": { "cluster": named, "user": named } }],
        "current-context": named,
    })
    .to_string()
}

pub(super) async fn client(server: &str, ca_pem: &str, token: &str) -> Result<kube::Client> {
    pki::install_crypto_provider();
    let kubeconfig: Kubeconfig = serde_json::from_str(&document(server, ca_pem, token))?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// Standard base64, through the type that Kubernetes serializes that way.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let value = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec())).expect("bytes become a string");
    value.as_str().expect("bytes become a string").to_owned()
}
