//! The bodies of the requests, as Coder reads them.

use std::borrow::Cow;

use jiff::Timestamp;
use logstream_core::line::Level;
use serde::{Serialize, Serializer};

/// The log source that Coder's page knows as Kubernetes. It is the same for every agent, and for the program that
/// this one replaces.
pub const LOG_SOURCE_ID: &str = "cabdacf8-7c90-425c-9815-cae3c75d1169";
/// The name the page shows for it.
pub const LOG_SOURCE_NAME: &str = "Kubernetes";
/// The icon the page shows for it, served by Coder itself.
pub const LOG_SOURCE_ICON: &str = "/icon/k8s.png";

/// A line as it goes out. Borrowed from the outbox wherever nothing was put before or cut from its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WireLine<'a> {
    /// When it happened. Coder stores its own time instead, and keeps this one nowhere.
    pub created_at: Timestamp,
    /// How bad it is.
    #[serde(serialize_with = "level")]
    pub level: Level,
    /// The text. Coder cuts it at 1,024 characters; its database refuses a NUL.
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
