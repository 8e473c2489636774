//! The replicas, each with its own connection to the API server.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use logstream_testing::{FaultProxy, Installation, installation::Replica, poll};

use crate::{isolated_cluster::IsolatedCluster, support::PATIENCE};

/// A replica and the proxy between it and the API server.
pub(super) struct Slot {
    pub(super) replica: Replica,
    pub(super) proxy: FaultProxy,
}

/// The installation and its replicas. The process that the installation itself starts is used only for the setup.
pub(super) struct Replicas {
    installation: Installation,
    pub(super) slots: Vec<Slot>,
}

impl Replicas {
    pub(super) async fn start(isolated: &IsolatedCluster, lease: Duration) -> Result<Self> {
        let mut installation = isolated.plan().unregistered().elects(lease).install(&*isolated.cluster).await?;
        installation.product.sigterm();
        poll::eventually("the first process ends", PATIENCE, || {
            let ended = installation.product.ended();
            async move { ended.ok_or("it runs") }
        })
        .await?;
        let mut slots = Vec::new();
        for _ in 0..2 {
            let proxy = FaultProxy::start(isolated.cluster.server_address())?;
            let mut replica = installation.replica_via(&*isolated.cluster, proxy.address())?;
            replica.wait_ready().await?;
            slots.push(Slot { replica, proxy });
        }
        Ok(Self { installation, slots })
    }

    /// Addresses of the webhooks.
    pub(super) fn webhooks(&self) -> Vec<SocketAddr> {
        self.slots.iter().map(|slot| slot.replica.webhook_address()).collect()
    }

    /// Registers the webhooks behind this address.
    pub(super) async fn register(&mut self, isolated: &IsolatedCluster, balancer: SocketAddr) -> Result<()> {
        self.installation.register_at(&*isolated.cluster, balancer).await
    }

    /// Waits until exactly one replica may deliver.
    pub(super) async fn one_leads(&self) -> Result<()> {
        poll::eventually("one replica leads", PATIENCE, || async {
            let mut leaders = 0.0;
            for slot in &self.slots {
                let metrics = slot.replica.metrics().await.map_err(|error| error.to_string())?;
                leaders += metrics.sum("coder_logstream_leader");
            }
            if (leaders - 1.0_f64).abs() < 0.5 { Ok(()) } else { Err(leaders.to_string()) }
        })
        .await
        .context("after the chaos")
    }

    /// Reports how many times the running processes took the Lease.
    pub(super) async fn handovers(&self) -> Result<String> {
        let mut taken = 0.0;
        for slot in &self.slots {
            taken += slot.replica.metrics().await?.sum("coder_logstream_leader_transitions_total");
        }
        Ok(format!("those that run took the Lease {taken} times"))
    }

    /// Logs of the running processes.
    pub(super) fn outputs(&self) -> String {
        let output = |slot: &Slot| format!("--- a replica's log\n{}", slot.replica.product.output());
        self.slots.iter().map(output).collect()
    }
}
