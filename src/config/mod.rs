//! What the program was asked to do: the command line and the environment, parsed into types at the door.
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

/// The settings of one run. Displayed, they are one line for the log, and hold no secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Coder is: http or https, no user info, query or fragment.
    pub coder_url: Url,
    /// What replaces the machine's own certificates for checking Coder's.
    pub coder_trust: Trust,
    /// How the Kubernetes API is reached.
    pub cluster: ClusterAccess,
    /// Whose workspaces are streamed.
    pub namespaces: Namespaces,
    /// Applies to pods.
    pub field_selector: Option<FieldSelector>,
    /// Applies to pods.
    pub label_selector: Option<LabelSelector>,
    /// Whether Events of nodes are watched.
    pub node_events: bool,
    /// Permission to read the Secrets and ConfigMaps that pods take agent tokens from.
    pub resolve_references: bool,
    /// How admission reviews are received, if they are.
    pub webhook: Option<Webhook>,
    /// Selects the lines that are delivered.
    pub lines: LineFilter,
    /// Looks of the lines.
    pub log_style: LogStyle,
    /// Form of the process's own log.
    pub log_format: LogFormat,
    /// What is logged; see [`crate::runtime::logging::init`] for what never is.
    pub log_filter: Targets,
    /// Where /metrics is served. Equal to `health_addr` means one listener for both.
    pub metrics_addr: Option<SocketAddr>,
    /// Where /livez and /readyz are served.
    pub health_addr: Option<SocketAddr>,
    /// How long what is under way may take to end after a signal.
    pub shutdown_grace: Duration,
    /// Where progress is kept; none means in memory only.
    pub state: Option<State>,
    /// How one of several replicas is elected to deliver; none means that this process delivers without asking.
    pub election: Option<Election>,
    /// Deployment that owns the objects which the program creates.
    pub owner: Option<Owner>,
    /// What is accepted but probably not meant: to be logged once, as warnings.
    pub warnings: Vec<String>,
}

impl Config {
    /// The settings of a command line, `args` with the program's name first, and an environment. Looks into the files that
    /// are named.
    pub fn new<A: Into<OsString>>(
        args: impl IntoIterator<Item = A>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        Self::from_command(command(), args.into_iter().map(Into::into), environment)
    }

    /// As [`Config::new`], with a command line that has more than the flags.
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
