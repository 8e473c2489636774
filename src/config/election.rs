//! Settings of the leader election.

use std::time::Duration;

use super::error::ConfigError;
use super::setting::{self, Settings};
use super::state::State;

/// Settings of the leader election.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Election {
    /// Namespace of the Lease, which is that of the checkpoint.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Name of this replica in the Lease; none means a random one.
    pub identity: Option<String>,
    /// Duration of the Lease.
    pub lease: Duration,
}

impl Election {
    /// `None` without a name of the Lease. A new leader continues from the checkpoint of the previous one, so an
    /// election needs a ConfigMap.
    pub(crate) fn of(settings: &Settings, state: Option<&State>) -> Result<Option<Self>, ConfigError> {
        let Some(name) = settings.lease_name.clone() else { return Ok(None) };
        let Some(state) = state else {
            return Err(ConfigError::missing(setting::state_namespace, "is required where --lease-name is given"));
        };
        let (namespace, identity) = (state.namespace.clone(), settings.lease_identity.clone());
        Ok(Some(Self { namespace, name, identity, lease: settings.lease_duration }))
    }
}
