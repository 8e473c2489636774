//! Correlation: finds the agents that a fact concerns, and decides if it was reported before.
//!
//! The [`Correlator`] is pure: facts and a clock go in, [`Effect`]s come out. Any interleaving of the streams reports
//! the same causes: an Event that arrives before its object waits for it, and a fact that both an Event and the
//! object's status show is reported once.

mod agents;
mod carriers;
mod cause;
mod conditions;
mod correlator;
mod dedup;
mod dependencies;
mod effect;
mod ends;
mod event_fact;
mod events;
mod fact;
mod names;
mod non_workspaces;
mod observation;
mod past;
mod presence;
mod pulls;
mod recovery;
mod registrations;
mod report;
mod start;
mod status;
#[cfg(test)]
mod tests;
mod tracked;
mod unconfirmed;
mod waiting;

pub use correlator::{Correlator, Limits};
pub use effect::{Counted, Effect};
pub use observation::{Arrival, LookupFailed, Object, Observation, Presence};
pub use registrations::{NoRegistrations, Registrations};
pub use start::Start;
