//! The `doctor` command: named checks of an installation, and what to do about those that fail.
//!
//! A [`Check`] is data: group, description, expectation, severity and a function. Each is a file of [`checks`]. They
//! read a [`Context`]: the program's configuration, clients, and the Deployment if there is one. The [`Report`] is
//! rendered as text or JSON.
//!
//! Nothing is changed. Besides reads there are access reviews, and pods created by a server-side dry run.

mod access;
mod api;
mod args;
mod check;
mod checks;
mod command;
mod context;
mod deployment;
mod grants;
mod handshake;
mod installation;
mod needs;
mod probe_pod;
mod proxies;
mod render;
mod report;
mod run;
mod selector;
#[cfg(test)]
mod testing;
mod words;
mod workspaces;

pub use self::{
    args::{Args, Options},
    command::run,
};
use self::{
    context::Context,
    report::{Outcome, Report, Status},
};
