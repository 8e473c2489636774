//! The baseline for startup: lists a namespace's pods and Events, decodes them with the library's types and drops them.

use anyhow::{Result, bail};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;

const USAGE: &str = "baseline-list KUBECONFIG NAMESPACE";

/// Page size of client-go.
const PAGE: u32 = 500;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kubeconfig, namespace] = &arguments[..] else { bail!(USAGE) };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let client = Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)?;
    tokio::try_join!(list::<Pod>(client.clone(), namespace), list::<Event>(client, namespace))?;
    Ok(())
}

async fn list<K>(client: Client, namespace: &str) -> Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client, namespace);
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let objects = api.list(&page).await?;
        match objects.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(()),
        }
    }
}
