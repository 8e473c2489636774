//! The lines of one agent: its outbox, its share of Coder's log limit, and the isolation of lines that are rejected.

pub(super) mod budget;
pub(super) mod isolation;
pub(super) mod outbox;
pub(super) mod text;
