//! Request bodies.

use std::borrow::Cow;

use jiff::Timestamp;
use logstream_core::line::Level;
use serde::{Serialize, Serializer};

/// The id of the log source that Coder's page shows as Kubernetes. The same for each agent, and for the Go program.
pub const LOG_SOURCE_ID: &str = "cabdacf8-7c90-425c-9815-cae3c75d1169";
/// Display name of the log source.
pub const LOG_SOURCE_NAME: &str = "Kubernetes";
/// Icon of the log source, served by Coder.
pub const LOG_SOURCE_ICON: &str = "/icon/k8s.png";

/// A line in Coder's format. Borrowed from the outbox unless its text was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WireLine<'a> {
    /// Time of the fact. Coder stores its own time instead.
    pub created_at: Timestamp,
    /// The level.
    #[serde(serialize_with = "level")]
    pub level: Level,
    /// The text. Coder cuts it at 1,024 characters; its database rejects NUL.
    pub output: Cow<'a, str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn level<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(level.as_str())
}

/// Body of `POST log-source`.
#[derive(Serialize)]
pub(super) struct LogSource {
    id: &'static str,
    display_name: &'static str,
    icon: &'static str,
}

pub(super) const LOG_SOURCE: LogSource =
    LogSource { id: LOG_SOURCE_ID, display_name: LOG_SOURCE_NAME, icon: LOG_SOURCE_ICON };

/// Body of `PATCH logs`.
#[derive(Serialize)]
pub(super) struct Logs<'a> {
    pub(super) log_source_id: &'static str,
    pub(super) logs: &'a [WireLine<'a>],
}
