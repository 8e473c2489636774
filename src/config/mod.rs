//! Configuration: the command line and the environment, parsed into types.
//!
//! Nothing else in the program reads the environment.

mod address;
mod assemble;
mod certificates;
mod cluster;
mod coder_url;
mod command_line;
mod duration;
mod election;
mod environment;
mod error;
mod field_selector;
mod kubeconfig;
mod label_selector;
mod line_filter;
mod log_filter;
mod names;
mod namespaces;
mod owner;
mod proxy;
mod setting;
mod show;
mod source;
mod state;
mod webhook;
mod words;

#[cfg(test)]
mod markdown;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tracing_subscriber::filter::Targets;
use url::Url;

pub use certificates::Trust;
pub(crate) use cluster::existing_file;
pub use cluster::{Cluster, ClusterAccess, ClusterError};
pub(crate) use command_line::command;
pub(crate) use duration::parse as duration;
pub use election::Election;
pub use environment::Environment;
pub use error::ConfigError;
pub use field_selector::FieldSelector;
pub use kubeconfig::{Contexts, KubeconfigFlaw};
pub use label_selector::LabelSelector;
pub use line_filter::LineFilter;
pub(crate) use names::label as namespace;
pub use namespaces::Namespaces;
pub use owner::Owner;
pub use proxy::{Proxy, ProxyError, environment_has_proxy};
pub use state::State;
pub use webhook::{CertMode, Webhook};

use logstream_core::render::LogStyle;

use crate::runtime::logging::LogFormat;
use source::Source;

/// The settings of one run. Their `Display` is one line for the log, without secrets.
#[derive(Clone, Debug)]
pub struct Config {
    /// URL of Coder: http or https, no user info, query or fragment.
    pub coder_url: Url,
    /// CA certificates that replace those of the system for verifying Coder's certificate.
    pub coder_trust: Trust,
    /// Access to the Kubernetes API.
    pub cluster: ClusterAccess,
    /// Namespaces of the streamed workspaces.
    pub namespaces: Namespaces,
    /// Applies to pods.
    pub field_selector: Option<FieldSelector>,
    /// Applies to pods.
    pub label_selector: Option<LabelSelector>,
    /// True if Events of nodes are watched.
    pub node_events: bool,
    /// Permission to read the Secrets and ConfigMaps that pods take agent tokens from.
    pub resolve_references: bool,
    /// Settings of the admission webhook, if it is on.
    pub webhook: Option<Webhook>,
    /// Selects the lines that are delivered.
    pub lines: LineFilter,
    /// Style of the lines.
    pub log_style: LogStyle,
    /// Format of the process's own log.
    pub log_format: LogFormat,
    /// Filter of the process's own log; see [`crate::runtime::logging::init`] for what is never logged.
    pub log_filter: Targets,
    /// Address of /metrics. If it equals `health_addr`, one listener serves both.
    pub metrics_addr: Option<SocketAddr>,
    /// Address of /livez and /readyz.
    pub health_addr: Option<SocketAddr>,
    /// Time limit of a graceful shutdown.
    pub shutdown_grace: Duration,
    /// ConfigMap of the checkpoint; none means in memory only.
    pub state: Option<State>,
    /// Leader election; none means that this process always delivers.
    pub election: Option<Election>,
    /// Deployment that owns the objects which the program creates.
    pub owner: Option<Owner>,
    /// Warnings about settings that are accepted but probably wrong, to be logged once.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads the settings from a command line, which starts with the program's name, and an environment. Checks the
    /// files that are named.
    pub fn new<A: Into<OsString>>(
        args: impl IntoIterator<Item = A>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        Self::from_command(command(), args.into_iter().map(Into::into), environment)
    }

    /// Like [`Config::new`], with a command line that has more than the flags.
    pub(crate) fn from_command(
        command: clap::Command,
        args: impl IntoIterator<Item = OsString>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let flags = command.try_get_matches_from(args)?;
        assemble::config(&Source { flags, environment })
    }
}

impl fmt::Display for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "coder_url={}", self.coder_url)?;
        if let Some(file) = &self.coder_trust.file {
            write!(formatter, " ssl_cert_file={}", file.display())?;
        }
        for directory in &self.coder_trust.directories {
            write!(formatter, " ssl_cert_dir={}", directory.display())?;
        }
        write!(formatter, " kubeconfig={} namespaces={}", self.cluster, self.namespaces)?;
        write!(formatter, " field_selector={}", or(self.field_selector.as_ref(), "none"))?;
        write!(formatter, " label_selector={}", or(self.label_selector.as_ref(), "none"))?;
        write!(formatter, " node_events={} resolve_references={}", self.node_events, self.resolve_references)?;
        match &self.webhook {
            Some(webhook) => write!(formatter, " {webhook}")?,
            None => formatter.write_str(" webhook_addr=off")?,
        }
        write!(formatter, " {} log_style={}", self.lines, self.log_style.as_str())?;
        write!(formatter, " log_level={}", self.log_filter)?;
        write!(formatter, " metrics_addr={}", or(self.metrics_addr.as_ref(), "off"))?;
        write!(formatter, " health_addr={}", or(self.health_addr.as_ref(), "off"))?;
        write!(formatter, " shutdown_grace={:?}", self.shutdown_grace)?;
        match &self.state {
            Some(state) => write!(formatter, " state={}/{}", state.namespace, state.name)?,
            None => formatter.write_str(" state=memory")?,
        }
        match &self.election {
            Some(Election { namespace, name, identity, lease }) => {
                let identity = or(identity.as_ref(), "random");
                write!(formatter, " lease={namespace}/{name} lease_identity={identity} lease_duration={lease:?}")?;
            }
            None => formatter.write_str(" lease=none")?,
        }
        match &self.owner {
            Some(owner) => write!(formatter, " owner={}/{}", owner.namespace, owner.deployment),
            None => formatter.write_str(" owner=none"),
        }
    }
}

fn or(value: Option<&impl fmt::Display>, without: &str) -> String {
    value.map_or_else(|| without.to_owned(), ToString::to_string)
}
