//! `doctor` against an installed release: each check green, and red after exactly that was broken.

mod coder;
pub(crate) mod helm_test;
mod network;
mod permissions;
mod program;
mod report;
mod target;
mod webhook;
mod workspaces;
