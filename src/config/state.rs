//! Where progress is kept.

use std::ffi::OsString;

use super::environment::Environment;
use super::error::ConfigError;
use super::names;
use super::setting::{STATE_NAME, STATE_NAMESPACE};
use super::source::{Given, optional};

const DEFAULT_NAME: &str = "coder-logstream-kube-progress";

/// The ConfigMap that remembers across restarts what was delivered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl State {
    /// None: progress is kept in memory only. An empty value asks for that; outside a cluster it is the default.
    pub(crate) fn find(
        namespace: Option<OsString>,
        name: Option<OsString>,
        environment: &Environment,
    ) -> Result<Option<Self>, ConfigError> {
        let name = optional(STATE_NAME, name, environment, names::subdomain)?;
        let namespace = match Given::find(STATE_NAMESPACE, namespace, environment)? {
            Some(given) if given.text.is_empty() => None,
            Some(given) => Some(given.parse(names::label)?),
            None => own_namespace(environment),
        };
        Ok(namespace.map(|namespace| Self { namespace, name: name.unwrap_or_else(|| DEFAULT_NAME.to_owned()) }))
    }
}

/// What Kubernetes mounts into the pod; anything wrong with it means that this is no pod.
fn own_namespace(environment: &Environment) -> Option<String> {
    let text = std::fs::read_to_string(environment.namespace_file()).ok()?;
    names::label(text.trim()).ok()
}
