//! The ConfigMap of the checkpoint.

use super::environment::Environment;
use super::error::ConfigError;
use super::names;
use super::setting::{POD_NAMESPACE_VARIABLE, STATE_NAME, STATE_NAMESPACE};
use super::source::Source;

const DEFAULT_NAME: &str = "coder-logstream-kube-progress";

/// The ConfigMap of the checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl State {
    /// Reads the settings. `None` keeps the checkpoint in memory: if the namespace is empty, and by default outside a
    /// cluster.
    pub(crate) fn find(source: &Source) -> Result<Option<Self>, ConfigError> {
        let name = source.optional(STATE_NAME, names::subdomain)?;
        let own = || own_namespace(source.environment);
        let namespace = source.switchable(STATE_NAMESPACE, names::label, own)?;
        Ok(namespace.map(|namespace| Self { namespace, name: name.unwrap_or_else(|| DEFAULT_NAME.to_owned()) }))
    }

    /// Namespace of the program's own objects, even if the checkpoint is in memory only. `None` outside a cluster,
    /// unless it is set.
    pub(crate) fn home(source: &Source) -> Result<Option<String>, ConfigError> {
        let environment = source.environment;
        let of_pod = || names::label(environment.filled(POD_NAMESPACE_VARIABLE)?.to_str()?.trim()).ok();
        let given = source.optional(STATE_NAMESPACE, names::label)?;
        Ok(given.or_else(of_pod).or_else(|| own_namespace(environment)))
    }
}

/// Namespace of this pod, from the mounted service account. None outside a pod.
fn own_namespace(environment: &Environment) -> Option<String> {
    let text = std::fs::read_to_string(environment.namespace_file()).ok()?;
    names::label(text.trim()).ok()
}
