//! A certificate that somebody else keeps, in a mounted Secret.

use std::time::Duration;

use anyhow::Result;
use logstream_certs::issue::Authority;
use rustls::pki_types::ServerName;

use crate::{
    mounted::Mounted,
    world::{World, now},
};

const DAY: Duration = Duration::from_hours(24);
const SWAPS: usize = 5;

/// Each by an authority of its own.
fn issue() -> Result<(Authority, Vec<u8>, Vec<u8>)> {
    let authority = Authority::new("somebody's CA", now(), DAY)?;
    let names: Vec<ServerName<'_>> = vec!["127.0.0.1".try_into()?, "logstream.coder.svc".try_into()?];
    let issued = authority.issue(&names, now(), DAY)?;
    Ok((authority, issued.certificate.into_bytes(), issued.key.into_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_secret_is_swapped_five_times_without_a_gap() -> Result<()> {
    let world = World::new("mounted", 1).await?;
    let mut folder = Mounted::empty()?;
    let mut replica = world.start(0, &[format!("--webhook-cert-dir={}", folder.path().display())])?;

    let (mut authority, certificate, key) = issue()?;
    folder.swap(&certificate, &key)?;
    replica.wait_metric("certificate_changes_total", 1.0).await?;
    // Served, and not trusted yet: readiness says so.
    let (status, checks) = replica.readiness().await?;
    assert!(status == 503 && checks.contains("has no caBundle"), "{status} {checks}");
    world.set_bundles(authority.certificate()).await?;
    replica.wait_ready().await?;
    world.wait_admitted().await?;

    let stream = world.stream();
    for swap in 1..=SWAPS {
        let (next, certificate, key) = issue()?;
        world.set_bundles(&(authority.certificate().to_owned() + next.certificate())).await?;
        stream.more(10).await?;
        folder.swap(&certificate, &key)?;
        replica.wait_metric("certificate_changes_total", f64::from(u32::try_from(swap)? + 1)).await?;
        world.set_bundles(next.certificate()).await?;
        stream.more(10).await?;
        authority = next;
    }
    stream.end().await?.check(100)?;
    replica.end()
}
