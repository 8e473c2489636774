//! Order and rate of requests: the priority queue, Coder's rate limits, requests in flight, and backoff.

pub(super) mod availability;
pub(super) mod backoff;
pub(super) mod in_flight;
pub(super) mod limiter;
pub(super) mod priority;
pub(super) mod probe_budget;
