//! Two replicas: cost of a follower, duration of a handover, and requests of both to the API server at rest.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use logstream_testing::release::requests_of;
use logstream_testing::{CoderOptions, Installation, poll};

use super::{
    Bench,
    memory::{Fixture, progress},
};
use crate::objects::{self, Pod};
use crate::record::{Must, Record, Unit};
use crate::site::{Site, coder};
use crate::stats::thousands;
use crate::{process, wait};

/// Duration of the Lease, as in the chart.
const LEASE: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_secs(10);
/// Duration of the measurement at rest.
const REST: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_mins(5);
/// The product's ServiceAccount.
const ACCOUNT: &str = "coder-logstream-kube";

pub(crate) async fn run(bench: &Bench, record: &mut Record) -> Result<()> {
    let site = Site::audited(&bench.programs).await?;
    record.conditions.kubernetes.clone_from(&site.version);
    let namespace = site.namespace("replicas").await?;
    let coder = coder(CoderOptions::new().without_rate_limit())?;
    let mut fixture = Fixture::new(site, namespace, coder);
    let mut sizes = vec![bench.args.workspaces];
    if bench.args.full {
        sizes.push(10 * bench.args.workspaces);
    }
    for size in sizes {
        fixture.fill(size, 10 * size, record).await?;
        for _ in 0..bench.args.runs {
            of_size(&fixture, size, record).await?;
        }
    }
    Ok(())
}

async fn of_size(fixture: &Fixture, size: usize, record: &mut Record) -> Result<()> {
    let Fixture { site, namespace, coder, .. } = fixture;
    let load = format!("{} workspaces in {} pods", thousands(size), thousands(super::memory::PODS * size));
    let plan = site.plan(coder, namespace).elects(LEASE).arg("--node-events=false");
    let mut leader = plan.unregistered().begin(site).await?;
    // Start without the checkpoint of a smaller size: everything written since then would be new, and would be
    // delivered and saved during the measurement at rest.
    leader.product.kill9();
    site.driver.delete(&progress(namespace)).await?;
    leader.start_again()?;
    leads(&leader).await?;
    let mut follower = leader.replica()?;
    follower.wait_ready().await?;
    tokio::time::sleep(QUIET).await;
    let requests = requests_in(fixture, REST).await?;
    println!("    {load}, at rest: {}", requests.text());
    let (leads, follows) = (process::memory(leader.product.pid())?, process::memory(follower.product.pid())?);
    record.add(&format!("{load}: memory of the leader at rest"), Unit::Megabytes, Must::Shown, leads.now);
    record.add(&format!("{load}: memory of the follower at rest"), Unit::Megabytes, Must::AtMost(12.0), follows.now);
    let what = format!("{load}: requests to the API server at rest, a minute, by both");
    record.add(&what, Unit::Count, Must::AtMost(60.0), requests.total());

    let pod = fixture.first().context("a workspace")?;
    let before = coder.line_count();
    leader.product.sigterm();
    let gap = next_line(fixture, pod, "sigterm", before).await?;
    let what = format!("{load}: from SIGTERM to the line of an Event right after it");
    record.add(&what, Unit::Seconds, Must::Shown, gap.as_secs_f64());
    ended(&mut leader).await?;
    leader.start_again()?;
    leader.wait_ready().await?;
    let before = coder.line_count();
    follower.product.kill9();
    let gap = next_line(fixture, pod, "kill", before).await?;
    let what = format!("{load}: from kill -9 to the line of an Event right after it, of which the Lease is up to 10 s");
    record.add(&what, Unit::Seconds, Must::Shown, gap.as_secs_f64());
    leader.product.kill9();
    Ok(())
}

/// Waits until it holds the Lease, which the previous process held, and has listed everything.
async fn leads(installation: &Installation) -> Result<()> {
    poll::eventually("it leads and watches", PATIENCE, || async {
        let metrics = installation.metrics().await.map_err(|error| error.to_string())?;
        let of = |name: &str| metrics.sum(&format!("coder_logstream_{name}"));
        let (leader, synced) = (of("leader"), of("watch_synced"));
        if leader > 0.5 && synced > 5.5 { Ok(()) } else { Err(format!("leader {leader}, {synced} synced")) }
    })
    .await
}

async fn ended(installation: &mut Installation) -> Result<()> {
    wait::until("the leader ends", PATIENCE, Duration::from_millis(5), || installation.product.ended().is_some()).await
}

/// Writes an Event, and returns the time until its line arrives.
async fn next_line(fixture: &Fixture, pod: &Pod, what: &str, before: usize) -> Result<Duration> {
    let begun = Instant::now();
    let name = format!("{}.{what}.{}", pod.name, objects::token());
    let event = objects::event(pod, &name, &format!("an event after {what} {name}"));
    fixture.site.driver.post(&objects::events(&pod.namespace), &event).await?;
    let there = fixture.coder.wait_until(PATIENCE, |coder| coder.line_count() > before).await;
    if !there {
        bail!("no line within {PATIENCE:?} after {what}");
    }
    Ok(begun.elapsed())
}

/// Numbers of requests, by verb and resource.
struct Requests(BTreeMap<String, usize>);

impl Requests {
    fn total(&self) -> f64 {
        self.0.values().sum::<usize>() as f64
    }

    fn text(&self) -> String {
        let each: Vec<_> = self.0.iter().map(|(what, count)| format!("{count} × {what}")).collect();
        each.join(", ")
    }
}

/// The product's requests that end within this time.
async fn requests_in(fixture: &Fixture, time: Duration) -> Result<Requests> {
    let user = format!("system:serviceaccount:{}:{ACCOUNT}", fixture.namespace);
    let so_far = || requests_of(&fixture.site.cluster, &user);
    let before = so_far()?.len();
    tokio::time::sleep(time).await;
    let mut counts = BTreeMap::new();
    for request in &so_far()?[before..] {
        *counts.entry(format!("{} {}", request.verb, request.resource)).or_default() += 1;
    }
    Ok(Requests(counts))
}
