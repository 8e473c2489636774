//! Where progress is kept.

use std::ffi::OsString;

use super::environment::Environment;
use super::error::ConfigError;
use super::names;
use super::setting::{POD_NAMESPACE_VARIABLE, STATE_NAME, STATE_NAMESPACE};
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

    /// The namespace that the program's own objects are in, also when progress is kept in memory only. None outside a
    /// cluster, unless it is said.
    pub(crate) fn home(given: Option<OsString>, environment: &Environment) -> Result<Option<String>, ConfigError> {
        if let Some(given) = Given::find(STATE_NAMESPACE, given, environment)?.filter(|given| !given.text.is_empty()) {
            return given.parse(names::label).map(Some);
        }
        let pod = environment.filled(POD_NAMESPACE_VARIABLE).and_then(|text| names::label(text.to_str()?.trim()).ok());
        Ok(pod.or_else(|| own_namespace(environment)))
    }
}

/// What Kubernetes mounts into the pod; anything wrong with it means that this is no pod.
fn own_namespace(environment: &Environment) -> Option<String> {
    let text = std::fs::read_to_string(environment.namespace_file()).ok()?;
    names::label(text.trim()).ok()
}
