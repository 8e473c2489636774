//! Observes how long the API server takes for a write. On a busy machine it is slow without a fault of this test: then a
//! leader can neither save its checkpoint nor renew the Lease.

use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use logstream_testing::poll;
use serde_json::json;
use tokio::{sync::watch, time::sleep};

use super::{Doubts, LEASE, RECOVERY};
use crate::isolated_cluster::IsolatedCluster;

/// Pause between two writes.
const PAUSE: Duration = Duration::from_millis(100);
/// A write that takes longer is slow: the replicas give the renewal of a Lease of four seconds 0.9 s.
const SLOW: Duration = Duration::from_millis(800);

/// Times of the slow writes.
#[derive(Debug, Default)]
pub(super) struct SlowWrites(Vec<(Instant, Instant)>);

impl SlowWrites {
    /// Returns their sum.
    pub(super) fn total(&self) -> Duration {
        self.0.iter().map(|(from, to)| *to - *from).sum()
    }

    /// Returns the part of this period in which a slow write was under way.
    pub(super) fn within(&self, from: Instant, to: Instant) -> Duration {
        let common = |(start, end): &(Instant, Instant)| to.min(*end).saturating_duration_since(from.max(*start));
        self.0.iter().map(common).sum()
    }
}

/// Writes until the end, and adds the time of each slow write to the doubts.
pub(super) async fn observe(
    isolated: &IsolatedCluster,
    doubts: &Doubts,
    end: watch::Receiver<bool>,
) -> Result<SlowWrites> {
    let api: Api<ConfigMap> = Api::namespaced(isolated.client.clone(), isolated.namespace.name());
    let mut slow = SlowWrites::default();
    for count in (0_u64..).take_while(|_| !*end.borrow()) {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "writes"},
            "data": {"count": count.to_string()}});
        let (parameters, patch) = (PatchParams::apply("chaos"), Patch::Apply(&manifest));
        let start = Instant::now();
        poll::eventually("a write succeeds", RECOVERY, || api.patch("writes", &parameters, &patch)).await?;
        let done = Instant::now();
        if done - start > SLOW {
            doubts.add(start, done + LEASE);
            slow.0.push((start, done));
        }
        sleep(PAUSE).await;
    }
    Ok(slow)
}
