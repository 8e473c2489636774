//! Where progress is kept.

use super::environment::Environment;
use super::error::ConfigError;
use super::names;
use super::setting::{POD_NAMESPACE_VARIABLE, STATE_NAME, STATE_NAMESPACE};
use super::source::Source;

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
    pub(crate) fn find(source: &Source) -> Result<Option<Self>, ConfigError> {
        let name = source.optional(STATE_NAME, names::subdomain)?;
        let own = || own_namespace(source.environment);
        let namespace = source.switchable(STATE_NAMESPACE, names::label, own)?;
        Ok(namespace.map(|namespace| Self { namespace, name: name.unwrap_or_else(|| DEFAULT_NAME.to_owned()) }))
    }

    /// The namespace that the program's own objects are in, also when progress is kept in memory only. None outside a
    /// cluster, unless it is said.
    pub(crate) fn home(source: &Source) -> Result<Option<String>, ConfigError> {
        let environment = source.environment;
        let of_pod = || names::label(environment.filled(POD_NAMESPACE_VARIABLE)?.to_str()?.trim()).ok();
        let given = source.optional(STATE_NAMESPACE, names::label)?;
        Ok(given.or_else(of_pod).or_else(|| own_namespace(environment)))
    }
}

/// What Kubernetes mounts into the pod; anything wrong with it means that this is no pod.
fn own_namespace(environment: &Environment) -> Option<String> {
    let text = std::fs::read_to_string(environment.namespace_file()).ok()?;
    names::label(text.trim()).ok()
}
