//! `doctor` against an installed release: each check passes, and fails once exactly that part is broken.

mod coder;
pub(crate) mod helm_test;
mod network;
mod permissions;
mod program;
mod report;
mod target;
mod webhook;
mod workspaces;
