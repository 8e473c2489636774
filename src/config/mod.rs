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
mod webhook_names;
mod words;

#[cfg(test)]
mod markdown;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;

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

use crate::runtime::logging;
use setting::Settings;
use source::Source;

/// The settings of one run. Their `Display` is one line for the log, without secrets.
#[derive(Clone, Debug)]
pub struct Config {
    /// The value of each flag. Where there is a field below, it has what several of them amount to.
    pub(crate) settings: Settings,
    /// CA certificates that replace those of the system for verifying Coder's certificate.
    pub(crate) coder_trust: Trust,
    /// Access to the Kubernetes API.
    pub(crate) cluster: ClusterAccess,
    /// Settings of the admission webhook, if it is on.
    pub(crate) webhook: Option<Webhook>,
    /// Selects the lines that are delivered.
    pub(crate) lines: LineFilter,
    /// ConfigMap of the checkpoint; none means in memory only.
    pub(crate) state: Option<State>,
    /// Leader election; none means that this process always delivers.
    pub(crate) election: Option<Election>,
    /// Deployment that owns the objects which the program creates.
    pub(crate) owner: Option<Owner>,
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

    /// Starts the process's own log. What is never logged is in [`logging`].
    pub fn start_log(&self) {
        logging::init(self.settings.log_format, self.settings.log_level.clone());
    }
}

impl fmt::Display for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        write!(formatter, "coder_url={}", settings.coder_url)?;
        if let Some(file) = &self.coder_trust.file {
            write!(formatter, " ssl_cert_file={}", file.display())?;
        }
        for directory in &self.coder_trust.directories {
            write!(formatter, " ssl_cert_dir={}", directory.display())?;
        }
        write!(formatter, " kubeconfig={} namespaces={}", self.cluster, settings.namespaces)?;
        write!(formatter, " field_selector={}", or(settings.field_selector.as_ref(), "none"))?;
        write!(formatter, " label_selector={}", or(settings.label_selector.as_ref(), "none"))?;
        write!(formatter, " node_events={} resolve_references={}", settings.node_events, settings.resolve_references)?;
        match &self.webhook {
            Some(webhook) => write!(formatter, " {webhook}")?,
            None => formatter.write_str(" webhook_addr=off")?,
        }
        write!(formatter, " {} log_style={}", self.lines, settings.log_style.as_str())?;
        write!(formatter, " log_level={}", settings.log_level)?;
        write!(formatter, " metrics_addr={}", or(settings.metrics_addr.as_ref(), "off"))?;
        write!(formatter, " health_addr={}", or(settings.health_addr.as_ref(), "off"))?;
        write!(formatter, " shutdown_grace={:?}", settings.shutdown_grace)?;
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
