//! A process in the place of a release's pod.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::mounts::Mounts;
use crate::{Metrics, Product};

/// A debug build on a machine that also compiles is slow to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where the kubelet would ask.
#[derive(Debug)]
pub(super) struct Probes {
    pub(super) startup: String,
    pub(super) liveness: String,
    pub(super) readiness: String,
}

/// The product, started as its Deployment says. It is killed when this is dropped.
#[derive(Debug)]
pub struct Replica {
    /// The process.
    pub product: Product,
    probes: Probes,
    grace: Duration,
    _mounts: Mounts,
}

impl Replica {
    pub(super) fn new(product: Product, probes: Probes, grace_seconds: u64, mounts: Mounts) -> Self {
        Self { product, probes, grace: Duration::from_secs(grace_seconds), _mounts: mounts }
    }

    /// Waits until the probes of its Deployment succeed.
    pub async fn wait_ready(&mut self) -> Result<()> {
        for (what, url) in [
            ("startup", &self.probes.startup),
            ("readiness", &self.probes.readiness),
            ("liveness", &self.probes.liveness),
        ] {
            // The reason stands in the verbose answer; the probe's own is the status.
            let url = format!("{url}?verbose");
            self.product.wait_ready(&url, PATIENCE).await.with_context(|| format!("the {what} probe"))?;
        }
        Ok(())
    }

    /// Waits until its readiness fails and says this.
    pub async fn wait_unready(&self, said: &str) -> Result<()> {
        self.product.wait_unready(&self.url("/readyz?verbose"), said, PATIENCE).await
    }

    /// The URL of a path beside that of its readiness, such as `/metrics`.
    pub fn url(&self, path: &str) -> String {
        let authority = self.probes.readiness.trim_start_matches("http://").split('/').next().unwrap_or_default();
        format!("http://{authority}{path}")
    }

    /// Its metrics now.
    pub async fn metrics(&self) -> Result<Metrics> {
        self.product.metrics(&self.url("/metrics")).await
    }

    /// Ends it as the kubelet does, which kills what is still there after the pod's grace period. Blocks.
    pub fn end(mut self) -> Result<()> {
        let (status, _) = self.product.sigterm_and_wait(self.grace)?;
        ensure!(status.success(), "it ended with {status}: {}", self.product.output());
        Ok(())
    }
}
