//! Random faults, one after the other.

use std::time::{Duration, Instant};

use anyhow::Result;
use fastrand::Rng;
use logstream_testing::{Balancer, Cluster, coder::Fault};
use tokio::time::sleep;

use super::{
    Doubts,
    accounts::Accounts,
    replicas::{Replicas, Slot},
};
use crate::isolated_cluster::IsolatedCluster;

/// A fault, with the replica that it affects.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Kill(usize),
    Terminate(usize),
    Pause(usize),
    CutApi(usize),
    StallApi(usize),
    RefuseApi(usize),
    SlowApi(usize),
    CutWatches(usize),
    RestartApi,
    PauseApi,
    Compact,
    CoderFails(u16),
    CoderIsNotCoder,
    CoderHangs,
    CoderAway,
    CoderSlow,
    CutWebhooks,
}

impl Kind {
    /// True if lines may be repeated: their request got no answer, or a leader lost the Lease before it had saved.
    fn leaves_doubt(self) -> bool {
        !matches!(
            self,
            Self::Terminate(_) | Self::CutApi(_) | Self::CutWatches(_) | Self::SlowApi(_) | Self::CutWebhooks
        )
    }

    fn random(random: &mut Rng) -> Self {
        let slot = random.usize(..2);
        match random.u32(..32) {
            0..5 => Self::Kill(slot),
            5..9 => Self::Terminate(slot),
            9..13 => Self::Pause(slot),
            13 | 14 => Self::CutApi(slot),
            15 | 16 => Self::StallApi(slot),
            17 | 18 => Self::RefuseApi(slot),
            19 => Self::SlowApi(slot),
            20 => Self::RestartApi,
            21 | 22 => Self::CoderFails([500, 502, 503, 429][random.usize(..4)]),
            23 => Self::CoderIsNotCoder,
            24 => Self::CoderHangs,
            25 => Self::CoderAway,
            26 => Self::CoderSlow,
            27 => Self::CutWebhooks,
            28 => Self::CutWatches(slot),
            29 | 30 => Self::PauseApi,
            _ => Self::Compact,
        }
    }
}

/// Parts that are disturbed besides the replicas.
pub(super) struct Site<'a> {
    pub(super) isolated: &'a IsolatedCluster,
    pub(super) balancer: &'a Balancer,
    pub(super) doubts: &'a Doubts,
}

impl Site<'_> {
    /// Causes faults until this time, each repaired at its end. Returns their number.
    pub(super) async fn disturb(
        &mut self,
        replicas: &mut Replicas,
        accounts: &mut Accounts,
        random: &mut Rng,
        until: Instant,
    ) -> Result<usize> {
        let mut faults = 0;
        while Instant::now() < until {
            sleep(Duration::from_millis(random.u64(200..2_500))).await;
            let kind = Kind::random(random);
            let lasts = Duration::from_millis(random.u64(300..9_000));
            println!("{:.1?} {kind:?} for {lasts:?}", self.doubts.since_start(Instant::now()));
            let start = Instant::now();
            self.cause(kind, lasts, replicas, accounts).await?;
            if kind.leaves_doubt() {
                self.doubts.add(start, Instant::now() + super::LEASE);
            }
            faults += 1;
        }
        Ok(faults)
    }

    async fn cause(&self, kind: Kind, lasts: Duration, replicas: &mut Replicas, accounts: &mut Accounts) -> Result<()> {
        let isolated = self.isolated;
        match kind {
            Kind::Kill(slot) | Kind::Terminate(slot) | Kind::Pause(slot) => {
                let slot = &mut replicas.slots[slot];
                process(kind, slot, lasts.min(Duration::from_secs(8)), accounts).await?;
            }
            Kind::CutApi(slot)
            | Kind::CutWatches(slot)
            | Kind::StallApi(slot)
            | Kind::RefuseApi(slot)
            | Kind::SlowApi(slot) => api(kind, &replicas.slots[slot], lasts).await,
            Kind::RestartApi => isolated.with_cluster(Cluster::restart_apiserver).await?,
            Kind::PauseApi => {
                isolated.cluster.pause_apiserver(true);
                sleep(lasts / 4).await;
                isolated.cluster.pause_apiserver(false);
            }
            Kind::Compact => {
                isolated.cluster.compact().await?;
                // Its cache would still hold what etcd no longer has.
                isolated.with_cluster(Cluster::restart_apiserver).await?;
            }
            Kind::CutWebhooks => self.balancer.cut().await?,
            _ => coder(kind, isolated, lasts).await?,
        }
        Ok(())
    }
}

/// A fault of a replica's process.
async fn process(kind: Kind, slot: &mut Slot, lasts: Duration, accounts: &mut Accounts) -> Result<()> {
    match kind {
        Kind::Kill(_) => {
            accounts.close(slot).await;
            slot.replica.product.kill9();
        }
        Kind::Terminate(_) => {
            slot.replica.product.sigterm();
            accounts.close_at_end(slot).await?;
        }
        _ => {
            slot.replica.product.sigstop();
            sleep(lasts).await;
            slot.replica.product.sigcont();
            return Ok(());
        }
    }
    // Its log ends with it, and explains a repeated line. Failed starts are most of it.
    for line in slot.replica.product.output().lines().filter(|line| !line.contains("correlate::start")) {
        println!("    {line}");
    }
    sleep(lasts / 3).await;
    slot.replica.start_again()
}

/// A fault between a replica and the API server.
async fn api(kind: Kind, slot: &Slot, lasts: Duration) {
    let proxy = &slot.proxy;
    match kind {
        Kind::StallApi(_) => proxy.stall(true),
        Kind::RefuseApi(_) => {
            proxy.refuse(true);
            proxy.cut();
        }
        Kind::SlowApi(_) => proxy.delay(Duration::from_millis(150)),
        Kind::CutWatches(_) => {
            let end = Instant::now() + lasts;
            while Instant::now() < end {
                proxy.cut();
                sleep(Duration::from_secs(1)).await;
            }
            return;
        }
        _ => return proxy.cut(),
    }
    sleep(lasts).await;
    proxy.stall(false);
    proxy.refuse(false);
    proxy.delay(Duration::ZERO);
}

/// A fault of Coder.
async fn coder(kind: Kind, isolated: &IsolatedCluster, lasts: Duration) -> Result<()> {
    let coder = &isolated.coder;
    match kind {
        Kind::CoderFails(status) => coder.fault(Fault::Status(status)),
        Kind::CoderIsNotCoder => coder.fault(Fault::Html(200)),
        Kind::CoderHangs => coder.fault(Fault::Stall),
        Kind::CoderSlow => coder.latency(Duration::from_millis(250)),
        _ => coder.refuse(true)?,
    }
    sleep(lasts).await;
    coder.clear_faults();
    coder.latency(Duration::ZERO);
    coder.refuse(false)?;
    // Hanging requests would otherwise wait for their timeout.
    coder.cut();
    Ok(())
}
