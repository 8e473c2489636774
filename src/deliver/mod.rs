//! Delivery: each line to its agent, in order, as soon as Coder accepts it.
//!
//! One task, the [`Engine`], owns everything: an outbox for each agent, the rate limiters, the requests in flight. It
//! receives [`Command`]s through an [`Outlet`] and acknowledges facts through an [`AckSink`]. It holds no lock, waits
//! only for requests, and every queue has a limit.
//!
//! Path of a request: an agent with something to send has a position in the priority queue (`rate::priority`). When the
//! rate limiter permits a request, the first agent of the most urgent priority sends what its outbox (`queue::outbox`)
//! holds as one batch. The disposition of the answer (`agents::disposition`) decides what happens to the agent and its
//! batch. Lines that arrive meanwhile wait in the outbox.

mod accounting;
mod agents;
mod command;
mod engine;
mod metrics;
mod queue;
mod rate;
mod settings;
#[cfg(test)]
mod tests;

pub use self::{
    accounting::AckSink,
    command::{Closed, Command, Outlet},
    engine::{
        Engine, channel,
        shutdown_report::{Report, Undelivered},
    },
    metrics::{Dropped, Metrics},
    settings::Settings,
};
