//! The baseline for streaming, a minimal watch-and-forward program: one watch, each new object decoded with the
//! library's types, one PATCH each, in sequence. It looks nothing up: all lines go to the one token it was given.
#![allow(clippy::print_stdout, reason = "its parent waits for this output")]

use std::pin::pin;

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Config, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

const USAGE: &str = "baseline-stream KUBECONFIG NAMESPACE events|pods CODER_URL TOKEN";

struct Baseline {
    namespace: String,
    url: String,
    token: String,
    http: reqwest::Client,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kubeconfig, namespace, kind, coder, token] = &arguments[..] else { bail!(USAGE) };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let client = Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)?;
    let baseline = Baseline {
        namespace: namespace.clone(),
        url: format!("{coder}/api/v2/workspaceagents/me/logs"),
        token: token.clone(),
        http: reqwest::Client::builder().tcp_nodelay(true).tls_certs_only([]).build()?,
    };
    match kind.as_str() {
        "events" => baseline.stream(client, |event: Event| event.message.unwrap_or_default()).await,
        "pods" => baseline.stream(client, |pod: Pod| format!("Created pod: {}", pod.name_any())).await,
        _ => bail!(USAGE),
    }
}

impl Baseline {
    async fn stream<K>(&self, client: Client, text: impl Fn(K) -> String) -> Result<()>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
    {
        let api: Api<K> = Api::namespaced(client, &self.namespace);
        let mut events = pin!(watcher(api, watcher::Config::default()));
        while let Some(event) = events.next().await {
            match event? {
                watcher::Event::Apply(object) => self.send(&text(object)).await?,
                watcher::Event::InitDone => println!("ready"),
                watcher::Event::Init | watcher::Event::InitApply(_) | watcher::Event::Delete(_) => {}
            }
        }
        bail!("the watch ended")
    }

    #[allow(clippy::disallowed_methods, reason = "no test replaces its clock")]
    async fn send(&self, text: &str) -> Result<()> {
        let body = json!({
            "log_source_id": "cabdacf8-7c90-425c-9815-cae3c75d1169",
            "logs": [{ "created_at": Timestamp::now(), "level": "debug", "output": text }],
        });
        let request = self.http.patch(&self.url).header("Coder-Session-Token", &self.token).json(&body);
        request.send().await?.error_for_status()?.bytes().await.context("the answer")?;
        Ok(())
    }
}
