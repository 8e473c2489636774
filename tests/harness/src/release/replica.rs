//! A process in place of a release's pod.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::mounts::Mounts;
use crate::{Metrics, Product};

/// Deadline of the start: a debug build on a busy machine is slow.
const PATIENCE: Duration = Duration::from_mins(1);

/// URLs of the pod's probes.
#[derive(Debug)]
pub(super) struct Probes {
    pub(super) startup: String,
    pub(super) liveness: String,
    pub(super) readiness: String,
}

/// The product, started with its Deployment's arguments and environment. Killed on drop.
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

    /// Waits until its Deployment's probes succeed.
    pub async fn wait_ready(&mut self) -> Result<()> {
        for (what, url) in [
            ("startup", &self.probes.startup),
            ("readiness", &self.probes.readiness),
            ("liveness", &self.probes.liveness),
        ] {
            // The verbose response contains the reason; the status is the same as the probe's.
            let url = format!("{url}?verbose");
            self.product.wait_ready(&url, PATIENCE).await.with_context(|| format!("the {what} probe"))?;
        }
        Ok(())
    }

    /// Waits until its readiness fails with `expected` in the response.
    pub async fn wait_unready(&self, expected: &str) -> Result<()> {
        self.product.wait_unready(&self.url("/readyz?verbose"), expected, PATIENCE).await
    }

    /// The URL of a path on its health port, such as `/metrics`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority())
    }

    /// Address and health port, such as `127.0.0.1:8081`.
    pub fn authority(&self) -> &str {
        self.probes.readiness.trim_start_matches("http://").split('/').next().unwrap_or_default()
    }

    /// Scrapes its metrics.
    pub async fn metrics(&self) -> Result<Metrics> {
        self.product.metrics(&self.url("/metrics")).await
    }

    /// Ends it with SIGTERM. Fails if it does not end successfully within the pod's grace period. Blocks.
    pub fn end(mut self) -> Result<()> {
        let (status, _) = self.product.sigterm_and_wait(self.grace)?;
        ensure!(status.success(), "it ended with {status}: {}", self.product.output());
        Ok(())
    }
}
