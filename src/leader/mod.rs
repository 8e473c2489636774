//! Leader election by a Lease (`coordination.k8s.io`): of several replicas, one may deliver.
//!
//! A [`Leadership`] answers "may this process send now?" at the moment of sending. Its permission ends
//! [`Timing::renew_deadline`] after the request that renewed the Lease was sent, and no other replica takes the Lease
//! before it has seen it unchanged for [`Timing::lease`]. Each replica measures both with its own monotonic clock and
//! never compares another node's time with its own. The remaining risk is a difference in the speed of two clocks, for
//! which the ratio of the two durations leaves half of the shorter one.
//!
//! [`candidate`] is the pure state machine, [`store`] the Lease in the cluster, [`elector`] the task that connects
//! them.

mod candidate;
mod elector;
mod leadership;
mod lease;
mod metrics;
mod store;
#[cfg(test)]
mod tests;
mod timing;
mod uptime;

#[cfg(test)]
pub(crate) use self::leadership::Grantor;
pub use self::{
    elector::Elector,
    leadership::{Leadership, Role},
    metrics::{LeaderGauge, Metrics},
    store::Store,
    timing::Timing,
    uptime::Uptime,
};
