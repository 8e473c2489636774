//! The Deployment that owns the objects which the program creates.

use super::environment::Environment;
use super::setting::Settings;
use super::state::State;

/// A Deployment in the namespace of the program's own objects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// Namespace of the Deployment and of what it owns.
    pub namespace: String,
    /// Name of the Deployment.
    pub deployment: String,
}

impl Owner {
    /// `None` if no Deployment is named, or outside a cluster without a namespace.
    pub(crate) fn of(settings: &Settings, environment: &Environment) -> Option<Self> {
        let deployment = settings.owner_deployment.clone()?;
        State::home(settings, environment).map(|namespace| Self { namespace, deployment })
    }
}
