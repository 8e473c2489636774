//! Log messages about objects that may not be read.

use std::time::Duration;

use logstream_core::{
    extract::{Holder, Reference},
    identity::Subject,
};
use tokio::time::Instant;

/// Minimum time between log messages about refusals, for each kind of object.
pub(super) const REFUSALS_LOGGED_EVERY: Duration = Duration::from_hours(1);

/// Searches for objects that may not be read.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    pub(super) secrets: Refused,
    pub(super) config_maps: Refused,
}

#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Number since the last log message.
    unlogged: u64,
    pub(super) logged_at: Option<Instant>,
}

impl Refused {
    /// Counts one refusal. Returns the number since the last log message if the next one is due.
    pub(super) fn count(&mut self, now: Instant) -> Option<u64> {
        self.unlogged += 1;
        if self.logged_at.is_some_and(|at| now.duration_since(at) < REFUSALS_LOGGED_EVERY) {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

impl Refusals {
    /// Logs a refusal, at most once an hour for Secrets and for ConfigMaps. The metric counts each one.
    pub(super) fn log(&mut self, subject: &Subject, Reference { holder, name, .. }: &Reference) {
        let (refused, resource) = match holder {
            Holder::Secret => (&mut self.secrets, "secrets"),
            Holder::ConfigMap => (&mut self.config_maps, "configmaps"),
        };
        let Some(agents) = refused.count(Instant::now()) else { return };
        tracing::warn!(namespace = %subject.namespace, name, subject = %subject, resource, agents,
            "agents get no logs: reading their tokens is forbidden");
    }
}
