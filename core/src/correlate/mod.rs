//! From facts to notices: who is this about, was it told before?
//!
//! The [`Correlator`] is pure: facts and a clock go in, [`Effect`]s come out. Any interleaving of the streams gives
//! the same lines: an Event that comes before its object waits for it, and what both an Event and the object's
//! status say is said by whichever comes first.

mod cause;
mod correlator;
mod directory;
mod effect;
mod ends;
mod event_fact;
mod fact;
mod names;
mod observation;
mod past;
mod presence;
mod strangers;
mod telling;
#[cfg(test)]
mod tests;
mod told;
mod tracked;
mod unconfirmed;
mod waiting;

pub use correlator::{Correlator, Limits};
pub use directory::{Binding, Directory};
pub use effect::{Counted, Effect};
pub use observation::{LookupFailed, Object, Observation, Presence, Sighting};
