//! The Deployment that owns the objects which the program creates.

use super::error::ConfigError;
use super::names;
use super::setting::OWNER_DEPLOYMENT;
use super::source::Source;
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
    /// Reads the settings; `None` if no Deployment is named, or outside a cluster without a namespace.
    pub(crate) fn find(source: &Source) -> Result<Option<Self>, ConfigError> {
        let Some(deployment) = source.optional(OWNER_DEPLOYMENT, names::subdomain)? else { return Ok(None) };
        Ok(State::home(source)?.map(|namespace| Self { namespace, deployment }))
    }
}
