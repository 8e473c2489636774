//! The Lease by which one of several replicas is elected.

use std::ffi::OsString;
use std::time::Duration;

use super::environment::Environment;
use super::error::ConfigError;
use super::flags::Flags;
use super::setting::{LEASE_DURATION, LEASE_IDENTITY, LEASE_NAME, STATE_NAMESPACE};
use super::source::optional;
use super::state::State;
use super::{duration, names};
use crate::leader::Timing;

/// How a replica takes part in the election.
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

/// What the command line says about the election.
#[derive(Debug, Default)]
pub(crate) struct ElectionFlags {
    name: Option<OsString>,
    identity: Option<OsString>,
    duration: Option<OsString>,
}

impl ElectionFlags {
    /// Takes them out of the command line.
    pub(crate) fn take(flags: &mut Flags) -> Self {
        Self {
            name: flags.lease_name.take(),
            identity: flags.lease_identity.take(),
            duration: flags.lease_duration.take(),
        }
    }
}

impl Election {
    /// None where no Lease is named: this process then delivers without asking. A new leader continues from the
    /// checkpoint of the one before, so an election needs one.
    pub(crate) fn find(
        flags: ElectionFlags,
        state: Option<&State>,
        environment: &Environment,
    ) -> Result<Option<Self>, ConfigError> {
        let name = optional(LEASE_NAME, flags.name, environment, names::subdomain)?;
        let identity = optional(LEASE_IDENTITY, flags.identity, environment, names::subdomain)?;
        let lease = optional(LEASE_DURATION, flags.duration, environment, duration::lease)?;
        let Some(name) = name else { return Ok(None) };
        let Some(state) = state else {
            return Err(ConfigError::missing(STATE_NAMESPACE, "is required where --lease-name is given"));
        };
        let lease = lease.unwrap_or(Timing::DEFAULT_LEASE);
        Ok(Some(Self { namespace: state.namespace.clone(), name, identity, lease }))
    }
}
