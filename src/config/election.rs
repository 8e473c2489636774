//! Settings of the leader election.

use std::time::Duration;

use super::error::ConfigError;
use super::setting::{LEASE_DURATION, LEASE_IDENTITY, LEASE_NAME, STATE_NAMESPACE};
use super::source::Source;
use super::state::State;
use super::{duration, names};
use crate::leader::Timing;

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
    /// Reads the settings; `None` without a name of the Lease. A new leader continues from the checkpoint of the
    /// previous one, so an election needs a ConfigMap.
    pub(crate) fn find(source: &Source, state: Option<&State>) -> Result<Option<Self>, ConfigError> {
        let name = source.optional(LEASE_NAME, names::subdomain)?;
        let identity = source.optional(LEASE_IDENTITY, names::subdomain)?;
        let lease = source.optional(LEASE_DURATION, duration::lease)?.unwrap_or(Timing::DEFAULT_LEASE);
        let Some(name) = name else { return Ok(None) };
        let Some(state) = state else {
            return Err(ConfigError::missing(STATE_NAMESPACE, "is required where --lease-name is given"));
        };
        Ok(Some(Self { namespace: state.namespace.clone(), name, identity, lease }))
    }
}
