//! The ConfigMap of the checkpoint.

use super::environment::Environment;
use super::names;
use super::setting::{POD_NAMESPACE_VARIABLE, Settings};

/// The ConfigMap of the checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl State {
    /// `None` keeps the checkpoint in memory: if the namespace is empty, and by default outside a cluster.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        let namespace = settings.state_namespace.clone()?;
        Some(Self { namespace, name: settings.state_name.clone() })
    }

    /// Namespace of the program's own objects, even if the checkpoint is in memory only. `None` outside a cluster,
    /// unless it is set.
    pub(crate) fn home(settings: &Settings, environment: &Environment) -> Option<String> {
        let of_pod = || names::label(environment.filled(POD_NAMESPACE_VARIABLE)?.to_str()?.trim()).ok();
        settings.state_namespace.clone().or_else(of_pod).or_else(|| environment.own_namespace())
    }
}
