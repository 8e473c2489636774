//! Replicas and nodes whose clocks are wrong, by minutes and both ways.
#![expect(clippy::disallowed_methods, reason = "the real time is what the clocks differ from")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use logstream_testing::Installation;
use serde_json::json;

use crate::{
    events::NewEvent,
    facts::{Facts, assert_once_in_order},
    replicas::{ended, wait_for_leader},
    restarts::{all_delivered, burst, saved, workspaces},
    support::{PATIENCE, TestContext, count, only, texts, wait_for_metric},
};

/// Duration of the Lease. Shorter than the difference of the clocks, so that a comparison of clocks would be noticed.
const LEASE: Duration = Duration::from_secs(6);

/// The library of the Debian package `faketime`.
fn library() -> Option<PathBuf> {
    let directories = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let mut libraries = directories.map(|directory| directory.path().join("faketime/libfaketime.so.1"));
    libraries.find(|library| library.exists())
}

/// Environment of a process in which only the wall clock is wrong, by this offset.
fn clock(library: &std::path::Path, offset: &str) -> [(&'static str, String); 3] {
    [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", offset.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

/// Asserts that a late line begins with the real time of its fact, to within a minute.
fn assert_times(lines: &[String]) {
    let now = Timestamp::now();
    for line in lines.iter().filter(|line| line.starts_with('[')) {
        let minute = |ago: i64| (now - SignedDuration::from_mins(ago)).strftime("[%H:%M:").to_string();
        assert!((0..4).any(|ago| line.starts_with(&minute(ago))), "{line:?} at {now}");
    }
}

#[tokio::test]
async fn replicas_with_clocks_minutes_apart_lose_and_repeat_nothing() -> Result<()> {
    let Some(library) = library() else {
        eprintln!("skipped: replicas with wrong clocks, as the Debian package faketime is not installed");
        return Ok(());
    };
    for (first_clock, second_clock) in [("+7m", "-7m"), ("-7m", "+7m")] {
        let context = TestContext::new("clocks").await?;
        let mut plan = context.plan().elects(LEASE);
        for (name, value) in clock(&library, first_clock) {
            plan = plan.env(name, value);
        }
        let mut first: Installation = plan.install(context.cluster).await?;
        wait_for_leader(|| first.metrics(), true).await?;
        let mut second = first.replica_in(&clock(&library, second_clock))?;
        second.wait_ready().await?;
        let workspaces = workspaces(&context, 3).await?;
        burst(&workspaces, 0..10).await?;
        all_delivered(&context, &workspaces, 0..10).await?;
        saved(&context).await?;
        // The first still leads, although the other's clock says that the Lease has long expired.
        wait_for_metric(&first, "leader", |leader| leader > 0.5).await?;
        assert!(second.metrics().await?.sum("coder_logstream_leader") < 0.5, "clock {first_clock} leads");
        first.product.sigterm();
        ended(&mut first.product).await?;
        wait_for_leader(|| second.metrics(), true).await?;
        burst(&workspaces, 10..20).await?;
        for lines in all_delivered(&context, &workspaces, 0..20).await? {
            assert_once_in_order(&lines, 0..20);
            only(&lines, "Created pod");
            assert_times(&texts(&lines));
        }
        assert_eq!(second.metrics().await?.sum("coder_logstream_lines_dropped_total"), 0.0);
        assert_eq!(context.coder.violations(), []);
    }
    Ok(())
}

#[tokio::test]
async fn facts_of_a_node_with_a_wrong_clock_survive_a_restart() -> Result<()> {
    let context = TestContext::new("node-clock").await?;
    let mut installation = context.install().await?;
    let agent = context.agent();
    let mut manifest = logstream_testing::Workspace::new(context.namespace.name(), "alice", "dev", &agent).pod();
    // Not scheduled, so that only the test sets its status.
    manifest["spec"]["schedulerName"] = "nobody".into();
    let pod = context.create(&manifest).await?;
    context.wait_for(&agent, &["Created pod"]).await?;
    let reported = async |minutes: i64, exit_code: i32| {
        let at = Timestamp::now() + SignedDuration::from_mins(minutes);
        let message = format!("the node's clock is {minutes} minutes off");
        NewEvent::warning(&pod, &format!("Clock{exit_code}"), &message).at(at).write(&context.client).await?;
        let at = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let ended = json!({ "exitCode": exit_code, "reason": "Error", "startedAt": at, "finishedAt": at });
        let status = json!({ "name": "dev", "image": "image", "imageID": "", "ready": false, "restartCount": exit_code,
            "state": { "terminated": ended } });
        let patch = Patch::Merge(json!({ "status": { "phase": "Running", "containerStatuses": [status] } }));
        context.api::<Pod>().patch_status(&pod.name_any(), &PatchParams::default(), &patch).await?;
        context.wait_for(&agent, &[&message, &format!("exit code {exit_code}")]).await
    };
    reported(-20, 3).await?;
    reported(20, 4).await?;
    installation.product.sigterm_and_wait(PATIENCE)?;
    installation.start_again()?;
    installation.wait_ready().await?;
    reported(-30, 5).await?;
    let lines = reported(30, 6).await?;
    for text in ["-20 minutes", "is 20 minutes", "-30 minutes", "is 30 minutes"] {
        assert_eq!(count(&lines, text), 1, "{text}: {:#?}", texts(&lines));
    }
    for exit_code in 3..7 {
        assert_eq!(count(&lines, &format!("exit code {exit_code}")), 1, "{:#?}", texts(&lines));
    }
    let facts = Facts::about(&context.client, pod)?;
    facts.happen(0).await?;
    only(&context.wait_for(&agent, &["fact 00000"]).await?, "Created pod");
    Ok(())
}
