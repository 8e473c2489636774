//! A self-managed certificate whose Secret or caBundle is changed by others.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use logstream_certs::issue::SigningCa;
use logstream_testing::poll;
use serde_json::json;
use tokio::time::Instant;

use crate::context::{PATIENCE, SECRET, TestContext, now};

/// The default lifetimes.
const CA: Duration = Duration::from_hours(8_760);
const LEAF: Duration = Duration::from_hours(720);

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_or_invalid_secret_is_recreated_without_a_gap() -> Result<()> {
    let context = TestContext::new("tampered", 1).await?;
    let mut replica = context.start_self_managed(0, CA, LEAF)?;
    replica.wait_ready().await?;
    context.wait_admitted().await?;
    let stream = context.stream();

    context.secrets().delete(SECRET, &DeleteParams::default()).await?;
    replica.wait_metric("certificate_changes_total", 2.0).await?;
    stream.more(10).await?;

    let invalid = ["ca.crt", "ca.key", "tls.crt", "tls.key"].map(|key| (key, ByteString(b"invalid".to_vec())));
    let invalid = json!({ "data": BTreeMap::from(invalid) });
    context.secrets().patch(SECRET, &PatchParams::default(), &Patch::Merge(invalid)).await?;
    replica.wait_metric("certificate_changes_total", 3.0).await?;
    assert!(replica.sample("certificate_bundles_refused_total{reason=\"malformed\"}").await? >= 1.0);
    replica.product.wait_output("ca.crt holds no valid certificate", PATIENCE).await?;
    stream.more(10).await?;

    // Only the CA's key is lost: the serving certificate stays valid, and a new CA takes over.
    let lost = json!({ "data": { "ca.key": null } });
    context.secrets().patch(SECRET, &PatchParams::default(), &Patch::Merge(lost)).await?;
    replica.wait_metric("certificate_changes_total", 4.0).await?;
    stream.more(10).await?;
    stream.end().await?.check(30)?;
    replica.wait_ready().await?;
    replica.end()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manually_changed_ca_bundle_is_repaired() -> Result<()> {
    let context = TestContext::new("emptied", 1).await?;
    let mut replica = context.start_self_managed(0, CA, LEAF)?;
    replica.wait_ready().await?;
    context.wait_admitted().await?;
    let right = context.bundles().await?;

    let foreign = SigningCa::new("a foreign CA", now(), CA)?;
    for wrong in ["", foreign.certificate()] {
        context.set_bundles(wrong).await?;
        repaired(&context, &right, Duration::from_secs(1)).await?;
        context.wait_admitted().await?;
    }
    // A foreign CA in the caBundle is kept.
    let bundle = String::from_utf8(context.bundles().await?.remove(0))?;
    assert!(bundle.contains(foreign.certificate().trim()), "{bundle}");
    assert!(replica.sample("certificate_ca_bundle_patches_total{purpose=\"repair\"}").await? >= 2.0);
    replica.wait_ready().await?;
    replica.end()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_watch_permission_a_repair_takes_a_second_longer() -> Result<()> {
    let context = TestContext::with("unwatched", 1, &["get"]).await?;
    let mut replica = context.start_self_managed(0, CA, LEAF)?;
    replica.wait_ready().await?;
    let right = context.bundles().await?;
    context.set_bundles("").await?;
    repaired(&context, &right, Duration::from_secs(3)).await?;
    context.wait_admitted().await?;
    replica.wait_ready().await?;
    replica.end()
}

/// Waits until every caBundle begins with the right one.
async fn repaired(context: &TestContext, right: &[Vec<u8>], within: Duration) -> Result<()> {
    let begun = Instant::now();
    poll::eventually("the caBundle is repaired", PATIENCE, || async {
        let bundles = context.bundles().await.map_err(|error| error.to_string())?;
        let is_right = bundles.iter().zip(right).all(|(bundle, right)| bundle.starts_with(right));
        if is_right { Ok(()) } else { Err(format!("{bundles:?}")) }
    })
    .await?;
    let took = begun.elapsed();
    println!("repaired after {took:?}");
    ensure!(took < within, "{took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_stored_certificate_is_replaced_at_startup() -> Result<()> {
    let context = TestContext::new("expired", 1).await?;
    let long_ago = now().checked_sub(Duration::from_hours(48))?;
    let ca = SigningCa::new("coder-logstream-kube webhook CA", long_ago, Duration::from_hours(24))?;
    let issued = ca.issue(&["127.0.0.1".try_into()?], long_ago, Duration::from_hours(12))?;
    let files = [
        ("ca.crt", ca.certificate().to_owned()),
        ("ca.key", ca.key()),
        ("tls.crt", issued.certificate),
        ("tls.key", issued.key),
    ];
    let secret = Secret {
        metadata: ObjectMeta { name: Some(SECRET.to_owned()), ..ObjectMeta::default() },
        string_data: Some(files.into_iter().map(|(key, text)| (key.to_owned(), text)).collect()),
        ..Secret::default()
    };
    context.secrets().create(&PostParams::default(), &secret).await?;
    context.set_bundles(ca.certificate()).await?;

    let mut replica = context.start_self_managed(0, CA, LEAF)?;
    replica.wait_ready().await?;
    context.wait_admitted().await?;
    assert!(replica.sample("certificate_bundles_refused_total{reason=\"expired\"}").await? >= 1.0);
    let bundle = String::from_utf8(context.bundles().await?.remove(0))?;
    assert!(!bundle.contains(ca.certificate().trim()), "the expired CA is removed: {bundle}");
    replica.end()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_webhook_configuration_it_waits_unready() -> Result<()> {
    let context = TestContext::new("early", 1).await?;
    let saved = context.take_configuration().await?;
    let mut replica = context.start_self_managed(0, CA, LEAF)?;
    replica.wait_unready("does not exist").await?;
    assert_eq!(context.secrets().get_opt(SECRET).await?, None, "no certificate is issued yet");
    context.put_configuration(saved).await?;
    replica.wait_ready().await?;
    context.wait_admitted().await?;
    replica.end()
}
