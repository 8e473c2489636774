//! The client for the API server.

pub(super) use crate::kubernetes::client;
