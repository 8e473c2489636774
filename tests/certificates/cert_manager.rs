//! A certificate of the real cert-manager, mounted with a delay like the kubelet's.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Secret};
use kube::Api;
use logstream_testing::{CertManager, poll};
use serde_json::{Value, json};
use tokio::{
    sync::{OnceCell, watch},
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

use crate::{
    context::{PATIENCE, Replica, TestContext, bundles, cluster},
    mounted::Mounted,
};

/// Delay of a mounted Secret. The kubelet takes a minute or more, but these certificates live for twenty seconds.
const LATE: Duration = Duration::from_secs(2);

/// Issuer of the serving certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Issuer {
    /// The CA that the API server trusts.
    Ca,
    /// An intermediate CA issued by that CA.
    Intermediate,
}

/// The release's own CA, made by a self-signed issuer and renewed every 12 s, and a serving certificate, renewed every
/// 6 s and valid for 20 s. Delayed mounting and the program's polling take 7 s of that. No certificate outlives its
/// issuer.
fn manifests(namespace: &str, issuer: Issuer) -> String {
    let object = |kind: &str, name: &str, spec: Value| {
        let metadata = json!({ "name": name, "namespace": namespace });
        json!({ "apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata, "spec": spec })
    };
    let certificate = |name: &str, issuer: &str, (lives, renewed_after): (u32, u32), more: Value| {
        let mut spec = json!({
            "secretName": name,
            "duration": format!("{lives}s"),
            "renewBefore": format!("{}s", lives - renewed_after),
            "privateKey": { "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always" },
            "issuerRef": { "name": issuer },
        });
        let all = spec.as_object_mut().expect("it is one");
        all.extend(more.as_object().expect("it is one").clone());
        object("Certificate", name, spec)
    };
    let ca = |name: &str| json!({ "isCA": true, "commonName": name });
    let serving = json!({
        "usages": ["digital signature", "server auth"],
        "dnsNames": ["logstream.coder.svc"],
        "ipAddresses": ["127.0.0.1"],
    });
    let mut items = vec![
        object("Issuer", "selfsigned", json!({ "selfSigned": {} })),
        object("Issuer", "ca", json!({ "ca": { "secretName": "ca" } })),
        certificate("ca", "selfsigned", (60, 12), ca("ca")),
    ];
    match issuer {
        Issuer::Ca => items.push(certificate("serving", "ca", (20, 6), serving)),
        Issuer::Intermediate => items.extend([
            object("Issuer", "intermediate", json!({ "ca": { "secretName": "intermediate" } })),
            certificate("intermediate", "ca", (40, 10), ca("intermediate")),
            certificate("serving", "intermediate", (20, 6), serving),
        ]),
    }
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

/// cert-manager, shared by all tests of a run.
async fn cert_manager() -> Result<&'static CertManager> {
    static SHARED: OnceCell<CertManager> = OnceCell::const_new();
    let cluster = cluster().await;
    SHARED.get_or_try_init(|| async { spawn_blocking(move || CertManager::start(cluster)).await? }).await
}

/// Observations of the Secret.
#[derive(Debug, Default)]
struct Seen {
    cas: BTreeSet<Vec<u8>>,
    /// Versions seen before their CA was in the caBundle, with the times.
    before_trust: Vec<String>,
}

/// Acts as the kubelet: copies each new version of a Secret into the directory, with a delay. Returns only on an error.
async fn mount(
    secrets: Api<Secret>,
    webhooks: Api<MutatingWebhookConfiguration>,
    configuration: String,
    mut directory: Mounted,
    seen: watch::Sender<Seen>,
) -> Result<()> {
    let mut mounted = None;
    let started = Instant::now();
    for version in 1.. {
        let secret = poll::eventually("a new version of the Secret", PATIENCE, || async {
            let secret = secrets.get("serving").await.map_err(|error| error.to_string())?;
            let part = |key: &str| Some(secret.data.as_ref()?.get(key)?.0.clone());
            let parts = part("tls.crt").zip(part("tls.key")).zip(part("ca.crt")).ok_or("is empty")?;
            if Some(&parts) == mounted.as_ref() { Err("is the same".to_owned()) } else { Ok(parts) }
        })
        .await?;
        let ((certificate, key), ca) = &secret;
        let trusted = bundles(&webhooks, &configuration).await?.iter().all(|bundle| contains(bundle, ca));
        if mounted.is_some() {
            if !trusted {
                let ca = String::from_utf8_lossy(ca).into_owned();
                let at = started.elapsed();
                seen.send_modify(|seen| {
                    seen.before_trust.push(format!("version {version} at {at:?}, by\n{ca}"));
                });
            }
            sleep(LATE).await;
        }
        directory.swap(certificate, key)?;
        seen.send_modify(|seen| {
            seen.cas.insert(ca.clone());
        });
        mounted = Some(secret);
    }
    Ok(())
}

fn contains(bundle: &[u8], ca: &[u8]) -> bool {
    let text = |pem: &[u8]| String::from_utf8_lossy(pem).trim().to_owned();
    text(bundle).contains(&text(ca))
}

#[tokio::test(flavor = "multi_thread")]
async fn cert_manager_rotates_certificate_and_ca_without_a_gap() -> Result<()> {
    rotations("cert-manager", Issuer::Ca).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cert_manager_rotates_an_intermediate_without_a_gap() -> Result<()> {
    rotations("cert-manager-chain", Issuer::Intermediate).await
}

async fn rotations(test: &str, issuer: Issuer) -> Result<()> {
    let context = TestContext::new(test, 1).await?;
    let (cluster, manager) = (cluster().await, cert_manager().await?);
    cluster.kubectl_with(&["apply", "-f", "-"], &manifests(context.namespace(), issuer))?;
    // The CA's Certificate rather than the serving one: a new CA is then trusted before it has issued any certificate.
    let from = format!("cert-manager.io/inject-ca-from={}/ca", context.namespace());
    cluster.kubectl(&["annotate", "mutatingwebhookconfiguration", context.configuration(), &from])?;

    let directory = Mounted::empty()?;
    let replica = context.start(0, &[format!("--webhook-cert-dir={}", directory.path().display())])?;
    let (sender, seen) = watch::channel(Seen::default());
    let kubelet = mount(
        context.secrets(),
        Api::all(context.client.clone()),
        context.configuration().to_owned(),
        directory,
        sender,
    );
    tokio::select! {
        ended = kubelet => ended.and_then(|()| bail!("it ended")).context("the mount"),
        proved = five_cas(&context, manager, issuer, replica, seen) => proved,
    }
}

/// Asserts that no pod is rejected while the CA is renewed five times.
async fn five_cas(
    context: &TestContext,
    manager: &CertManager,
    issuer: Issuer,
    mut replica: Replica,
    mut seen: watch::Receiver<Seen>,
) -> Result<()> {
    replica.wait_ready().await?;
    context.wait_admitted().await?;
    let stream = context.stream();
    for rotation in 1..=5 {
        let enough = seen.wait_for(|seen| seen.cas.len() > rotation);
        drop(timeout(PATIENCE, enough).await.context("the CA is renewed")??);
        stream.more(10).await?;
    }
    // The last one is served as well.
    let changes = replica.metric("certificate_changes_total").await?;
    replica.wait_metric("certificate_changes_total", (changes + 1.0).max(6.0)).await?;
    stream.more(10).await?;
    let tally = stream.end().await?;
    tally.check(60).with_context(|| format!("{}\n{}", manager.log(), replica.product.output()))?;
    let chain = if issuer == Issuer::Intermediate { " chain=2" } else { " chain=1" };
    ensure!(replica.product.output().contains(chain), "{}", replica.product.output());
    replica.wait_ready().await?;
    // cainjector keeps a CA until it expires.
    let bundle = String::from_utf8(context.bundles().await?.remove(0))?;
    ensure!(bundle.matches("BEGIN CERTIFICATE").count() >= 2, "the CA was renewed too: {bundle}");
    replica.end()?;
    let seen = seen.borrow();
    let Seen { cas, before_trust } = &*seen;
    let (cas, early) = (cas.len(), before_trust.len());
    println!("{changes} serving certificates by {cas} CAs, {early} seen before they were trusted");
    // One certificate may have been renewed at the same moment as its CA; with the serving Certificate in the
    // annotation, nearly each new CA would be late.
    ensure!(early <= 1, "{early} of {cas} CAs:\n{}\n{}", before_trust.join("\n"), manager.log());
    Ok(())
}
