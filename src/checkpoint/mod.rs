//! Checkpoints: after a restart, delivered lines are not repeated and missed facts are caught up.
//!
//! For each watched resource and namespace there is one [`Checkpoint`](logstream_core::checkpoint::Checkpoint). The
//! [`Ledger`] advances them as facts are handled and delivered; the [`Store`] keeps them in a ConfigMap, without
//! tokens.

mod agents;
mod keeper;
mod ledger;
mod metrics;
mod saved;
mod store;
#[cfg(test)]
mod tests;
mod tracking;

pub use keeper::Keeper;
pub use ledger::Ledger;
pub use metrics::Metrics;
pub use saved::Saved;
pub use store::{KEY, Store, StoreError, Version};
