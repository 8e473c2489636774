//! A run for the picture of the dashboard: two replicas, workspaces that start well and badly, and disturbances, while a
//! Prometheus scrapes. `docs/tools/dashboard/picture` starts it.

use std::{env, path::Path, time::Duration};

use anyhow::{Context, Result};
use logstream_testing::coder::{Endpoint, Fault};
use logstream_testing::{
    Balancer, Loopback, Prometheus, Replica, Scenario, Scrape, Workspace, scenarios, webhook_probe::wait_called,
};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::context::TestContext;
use crate::monitoring::rules;

/// Length of the run in seconds.
const LENGTH: u32 = 270;

/// Ways to fail, in turn: those of a scheduled pod, and two without a pod on a node.
const FAILURES: [Failure; 8] = [
    Failure::Of(Scenario::WrongImage),
    Failure::Of(Scenario::OomKilled),
    Failure::TooLarge,
    Failure::Of(Scenario::WrongImage),
    Failure::Of(Scenario::CrashLoop),
    Failure::Quota,
    Failure::Of(Scenario::Evicted),
    Failure::TooLarge,
];

#[derive(Clone, Copy)]
enum Failure {
    Of(Scenario),
    TooLarge,
    Quota,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs for minutes, and only its data are of use"]
#[expect(clippy::disallowed_methods, reason = "an argument of a tool")]
async fn a_run_for_the_picture() -> Result<()> {
    let data = env::var_os("DASHBOARD_DATA").context("DASHBOARD_DATA names a directory")?;
    let program = Prometheus::program().context("no prometheus (Debian's package has it)")?;
    let mut context = TestContext::alone("dashboard").await?;
    let [first, second] = [Loopback::new(), Loopback::new()];
    let webhooks = [first, second].map(|loopback| loopback.webhook().expect("it has a webhook"));
    let balancer = Balancer::start(webhooks.to_vec()).await?;

    context.loopback = first.behind(balancer.address());
    let leader = context.install(json!({})).await?;
    let follower = context.another(second.behind(balancer.address())).await?;
    let targets = [leader.authority().to_owned(), follower.authority().to_owned()];
    let scrape = Scrape { targets: &targets, rules: &rules(), data: Some(Path::new(&data)) };
    let _prometheus = Prometheus::start(&program, scrape).await?;
    wait_called(context.cluster, context.home.name(), true).await?;

    let mut leader = Some(leader);
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for second in 0..LENGTH {
        seconds.tick().await;
        match second {
            80 => context.coder.refuse(true)?,
            100 => context.coder.refuse(false)?,
            // A firewall in front of Coder that blocks a phrase.
            120 => context.coder.fault(Fault::Html(403).at(Endpoint::Logs).containing("out of memory")),
            140 => context.coder.clear_faults(),
            160 => end(leader.take()).await?,
            180 => leader = Some(context.another(first.behind(balancer.address())).await?),
            // The API server reaches no replica, so the watch has to find the workspaces.
            210 => {
                balancer.set_servers(&[]);
                balancer.cut().await?;
            }
            218 => balancer.set_servers(&webhooks),
            _ => {}
        }
        context.start_some(second).await?;
    }
    Ok(())
}

/// Ends a replica as Kubernetes does.
async fn end(replica: Option<Replica>) -> Result<()> {
    let replica = replica.context("it runs")?;
    tokio::task::spawn_blocking(|| replica.end()).await?
}

impl TestContext {
    /// Starts another replica of the release at other addresses.
    async fn another(&mut self, loopback: Loopback) -> Result<Replica> {
        self.loopback = loopback;
        self.release.upgrade(&self.values(json!({})), &[]).await?;
        self.start().await
    }

    /// Starts and deletes the workspaces that are due in this second.
    async fn start_some(&self, second: u32) -> Result<()> {
        let home = self.home.name();
        // More workspaces at some times than at others.
        let count = [1, 0, 1, 2, 1, 0][(second / 10 % 6) as usize];
        for number in 0..count {
            self.create(&self.workspace(&format!("user-{second}"), &format!("dev-{number}")).deployment()).await?;
        }
        if second % 5 == 2 {
            let owner = format!("unlucky-{second}");
            let workspace = self.workspace(&owner, "dev");
            match FAILURES[(second / 5) as usize % FAILURES.len()] {
                Failure::Of(Scenario::Evicted) => {
                    let workspace = workspace.scenario(Scenario::Evicted).evicted_after(Duration::from_secs(4));
                    self.create(&workspace.deployment()).await?;
                }
                Failure::Of(scenario) => self.create(&workspace.scenario(scenario).deployment()).await?,
                Failure::TooLarge => self.create(&workspace.memory("9Ti").deployment()).await?,
                Failure::Quota => {
                    self.cluster.kubectl_with(&["apply", "-n", home, "-f", "-"], scenarios::QUOTA)?;
                    self.create(&workspace.deployment()).await?;
                }
            }
        }
        if second % 40 == 30 {
            self.cluster.kubectl(&["delete", "quota", "--all", "-n", home])?;
        }
        Ok(())
    }

    fn workspace(&self, owner: &str, name: &str) -> Workspace {
        Workspace::new(self.home.name(), owner, name, &self.agent()).scenario(Scenario::Normal)
    }
}
