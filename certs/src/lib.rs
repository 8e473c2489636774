//! Where the webhook's serving certificate comes from, and how it is replaced without failing a handshake.
//!
//! A [`CertSource`] gives one checked [`Bundle`] after another; [`keep`] feeds them to a [`Resolver`], and the
//! [`server_config`] that holds it serves whichever is current. One source exists: [`provided`], files that somebody
//! else renews. A source that also answers for the API server's trust fits the same contract: it gives a bundle only
//! once that trust is there.

mod bundle;
mod client_ca;
pub mod issue;
mod keep;
mod metrics;
pub mod provided;
mod resolver;
mod server_config;
mod source;

pub use bundle::{Bundle, BundleError};
pub use client_ca::{ClientCa, ClientCaError};
pub use keep::{Ended, keep};
pub use metrics::{Metrics, Refused};
pub use resolver::Resolver;
pub use server_config::{ServerConfigError, server_config};
pub use source::{CertSource, Clock};
