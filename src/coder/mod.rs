//! Coder's REST API for agents: requests, and the meaning of answers.
//!
//! [`CoderApi`] is the port of delivery; [`CoderClient`] implements it over HTTP. Retries and rate limiting are up to
//! delivery.

mod answer;
mod client;
mod connections;
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

/// Coder's API as delivery uses it. Implementations have their own timeout; delivery sets none.
pub trait CoderApi: Send + Sync + 'static {
    /// Registers the log source with the agent of this token. Idempotent.
    fn post_log_source(&self, agent: &AgentToken) -> impl Future<Output = Result<Answer, SendError>> + Send;

    /// Appends lines to the agent's startup log, in order. Atomic.
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
