//! Delivery: every line to its agent, in order, as soon as Coder takes it.
//!
//! One task, the [`Engine`], owns all: an outbox for each agent, the pace towards Coder, the requests under way. It is
//! told what to do by [`Command`]s through an [`Outlet`], and says through [`AckSink`] which facts need not be told
//! again. It holds no lock, waits on nothing but requests, and every queue of it has a limit.
//!
//! A request's way: an agent with something to send has a seat in one of the `lanes`; when the `pace` has room, the
//! most urgent lane's first agent is called; what it has goes as one batch; the `disposition` of the answer says what
//! becomes of agent and batch. While that request is under way, what arrives for the agent gathers in its `outbox`.

mod agent;
mod backoff;
mod books;
mod budget;
mod command;
mod disposition;
mod drain;
mod engine;
mod isolation;
mod lanes;
mod leftovers;
mod link;
mod metrics;
mod outbox;
mod outcome;
mod pace;
mod report;
mod roster;
mod settings;
mod share;
#[cfg(test)]
mod tests;
mod text;
mod traffic;

pub use self::{
    books::AckSink,
    command::{Closed, Command, Outlet},
    engine::{Engine, channel},
    metrics::{Dropped, Metrics},
    report::{Report, Undelivered},
    settings::Settings,
};
