//! The election as a whole: interleavings of replicas, and the elector on an API server in memory.

mod api;
mod elections;
mod interleavings;
mod steps;
