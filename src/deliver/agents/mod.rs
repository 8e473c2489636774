//! The agents: their state, their place in the queue, and what an answer of Coder means for them.

pub(super) mod agent;
pub(super) mod disposition;
pub(super) mod failed_starts;
pub(super) mod table;
