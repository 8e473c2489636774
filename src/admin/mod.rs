//! Health and metrics over plain HTTP.

mod endpoints;
mod metrics;
mod pipeline;
mod process;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;

pub use endpoints::{Content, router};
pub use metrics::Metrics;

use crate::runtime::listen::ListenError;
use crate::runtime::server::Bound;
use crate::runtime::{Heartbeat, Liveness, Readiness};

/// Sources of the endpoints.
#[derive(Clone, Debug)]
pub struct Sources {
    /// For /livez.
    pub liveness: Liveness,
    /// For /livez too: the tasks that facts pass through.
    pub heartbeats: Vec<Heartbeat>,
    /// For /readyz.
    pub readiness: Readiness,
    /// For /metrics.
    pub metrics: Arc<Metrics>,
}

/// Binds the configured addresses: two listeners, or one if they are equal. Nothing is served before [`Bound::run`].
pub async fn bind(
    health: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    sources: &Sources,
) -> Result<Vec<Bound>, ListenError> {
    let mut servers = Vec::new();
    let open = |setting, address, content| server::server(router(content, sources.clone())).bind(setting, address);
    if let Some(address) = health {
        let content = if metrics == health { Content::Both } else { Content::Health };
        servers.push(open("--health-addr", address, content).await?);
    }
    if let Some(address) = metrics.filter(|_| metrics != health) {
        servers.push(open("--metrics-addr", address, Content::Metrics).await?);
    }
    Ok(servers)
}

#[cfg(test)]
mod tests;
