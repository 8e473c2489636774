//! Coder's agent API over REST: what this program sends to it, and what its answers mean.
//!
//! [`CoderApi`] is the port that delivery talks to; [`CoderClient`] is the one that speaks HTTP. Nothing here retries,
//! waits or paces: that is delivery's.

mod answer;
mod client;
mod error;
mod probe;
mod redirect;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

use std::future::Future;

use logstream_core::token::AgentToken;

pub use self::{
    answer::{Answer, BuildInfo, Rate},
    client::{CoderClient, ConfigError},
    error::{Failure, SendError},
    probe::{Probe, ProbeError, probe},
    wire::{LOG_SOURCE_ICON, LOG_SOURCE_ID, LOG_SOURCE_NAME, WireLine},
};

/// Coder's side of delivery. An implementation gives up on a request by itself: delivery sets no deadline of its own.
pub trait CoderApi: Send + Sync + 'static {
    /// Registers our log source with the agent of this token. Coder takes a repetition without harm.
    fn post_log_source(&self, agent: &AgentToken) -> impl Future<Output = Result<Answer, SendError>> + Send;

    /// Appends lines to the agent's startup log, in this order. They are stored all or not at all.
    fn send_logs(
        &self,
        agent: &AgentToken,
        lines: &[WireLine<'_>],
    ) -> impl Future<Output = Result<Answer, SendError>> + Send;
}

impl<A: CoderApi> CoderApi for std::sync::Arc<A> {
    fn post_log_source(&self, agent: &AgentToken) -> impl Future<Output = Result<Answer, SendError>> + Send {
        A::post_log_source(self, agent)
    }

    fn send_logs(
        &self,
        agent: &AgentToken,
        lines: &[WireLine<'_>],
    ) -> impl Future<Output = Result<Answer, SendError>> + Send {
        A::send_logs(self, agent, lines)
    }
}
