//! The Deployment that owns the objects which the program creates.

use std::ffi::OsString;

use super::environment::Environment;
use super::error::ConfigError;
use super::names;
use super::setting::OWNER_DEPLOYMENT;
use super::source::optional;
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
    /// None where no Deployment is named, or outside a cluster where no namespace is given.
    pub(crate) fn find(
        deployment: Option<OsString>,
        state_namespace: Option<&OsString>,
        environment: &Environment,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(deployment) = optional(OWNER_DEPLOYMENT, deployment, environment, names::subdomain)? else {
            return Ok(None);
        };
        let namespace = State::home(state_namespace.cloned(), environment)?;
        Ok(namespace.map(|namespace| Self { namespace, deployment }))
    }
}
