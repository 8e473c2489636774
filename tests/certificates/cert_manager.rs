//! A certificate that the real cert-manager keeps, mounted as kubelet does it: late.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use logstream_testing::{CertManager, poll};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    mounted::Mounted,
    world::{PATIENCE, World, cluster},
};

/// How late a mounted Secret is. kubelet takes a minute and more; these certificates live for twenty seconds.
const LATE: Duration = Duration::from_secs(2);

/// An authority of the release's own, made by a self-signed issuer, and a leaf of it. The leaf is renewed 13 s before
/// its end: late mounting and the program's own reading take 7 s of that.
fn manifests(namespace: &str) -> String {
    let object = |kind: &str, name: &str, spec: serde_json::Value| {
        json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": kind,
            "metadata": { "name": name, "namespace": namespace },
            "spec": spec,
        })
    };
    let key = json!({ "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always" });
    let items = [
        object("Issuer", "selfsigned", json!({ "selfSigned": {} })),
        object("Issuer", "ca", json!({ "ca": { "secretName": "ca" } })),
        object(
            "Certificate",
            "ca",
            json!({
                "isCA": true,
                "commonName": "ca",
                "secretName": "ca",
                "duration": "40s",
                "renewBefore": "20s",
                "privateKey": key,
                "issuerRef": { "name": "selfsigned" },
            }),
        ),
        object(
            "Certificate",
            "serving",
            json!({
                "secretName": "serving",
                "duration": "20s",
                "renewBefore": "13s",
                "privateKey": key,
                "usages": ["digital signature", "server auth"],
                "dnsNames": ["logstream.coder.svc"],
                "ipAddresses": ["127.0.0.1"],
                "issuerRef": { "name": "ca" },
            }),
        ),
    ];
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

/// Plays kubelet: brings each new version of a Secret into the folder, late.
async fn mount(secrets: Api<Secret>, mut folder: Mounted) -> Result<()> {
    let mut mounted = None;
    loop {
        let secret = poll::eventually("a new version of the Secret", PATIENCE, || async {
            let secret = secrets.get("serving").await.map_err(|error| error.to_string())?;
            let part = |key: &str| Some(secret.data.as_ref()?.get(key)?.0.clone());
            let parts = part("tls.crt").zip(part("tls.key")).ok_or("is empty")?;
            if Some(&parts) == mounted.as_ref() { Err("is the same".to_owned()) } else { Ok(parts) }
        })
        .await?;
        if mounted.is_some() {
            sleep(LATE).await;
        }
        folder.swap(&secret.0, &secret.1)?;
        mounted = Some(secret);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cert_manager_rotates_leaf_and_authority_without_a_gap() -> Result<()> {
    let world = World::new("cert-manager", 1).await?;
    let cluster = cluster().await;
    let manager = tokio::task::spawn_blocking(move || CertManager::start(cluster)).await??;
    cluster.kubectl_with(&["apply", "-f", "-"], &manifests(world.namespace()))?;
    // The authority's Certificate, not the leaf's: then a new authority is trusted before any leaf of it exists.
    let from = format!("cert-manager.io/inject-ca-from={}/ca", world.namespace());
    cluster.kubectl(&["annotate", "mutatingwebhookconfiguration", world.configuration(), &from])?;

    let folder = Mounted::empty()?;
    let mut replica = world.start(0, &[format!("--webhook-cert-dir={}", folder.path().display())])?;
    let mut kubelet = JoinSet::new();
    kubelet.spawn(mount(world.secrets(), folder));
    replica.wait_ready().await?;
    world.wait_admitted().await?;
    let stream = world.stream();
    for change in 2..=6 {
        replica.wait_metric("certificate_changes_total", change.into()).await?;
        stream.more(10).await?;
    }
    let bundle = String::from_utf8(world.bundles().await?.remove(0))?;
    let tally = stream.end().await?;
    let checked = tally.check(50);
    checked.with_context(|| format!("{}\n{}", manager.log(), replica.product.output()))?;
    // cainjector keeps an authority until it expires.
    assert!(bundle.matches("BEGIN CERTIFICATE").count() >= 2, "the authority was renewed too: {bundle}");
    replica.wait_ready().await?;
    replica.end()
}
