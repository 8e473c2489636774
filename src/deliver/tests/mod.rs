//! Delivery as a whole, with paused time, against a Coder in memory.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "small whole numbers, some of them out of metrics"
)]

mod context;
mod drain;
mod fake;
mod limiter;
mod limits;
mod pace;
mod property;
mod refusals;
mod starts;
mod trouble;
mod waiting;
