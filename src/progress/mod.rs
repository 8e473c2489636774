//! How far the telling has come, so that after a restart what was delivered is not said again, and what happened
//! meanwhile is.
//!
//! What is remembered is small and holds no tokens: for each scope the resourceVersion that was reached, the few
//! objects whose facts are not delivered yet, and the pods announced in the last seconds.

mod saved;
mod store;
mod tracker;

pub use saved::Saved;
pub use store::{Store, StoreError, keep};
pub use tracker::Progress;
