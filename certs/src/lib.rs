//! Serving certificates of the webhook and their rotation without a failed handshake.
//!
//! A [`CertSource`] returns validated [`Bundle`]s, [`serve_from`] passes them to a [`Resolver`], and a [`server_config`]
//! serves the current one. There are two sources: [`provided`] polls files that are renewed externally, and
//! [`self_managed`] keeps a CA and a serving certificate in a Secret shared by all replicas and publishes the CA in the
//! caBundle. [`Trust`] compares caBundle and certificate for readiness, and [`HoldUntilTrusted`] holds back a mounted
//! certificate until the caBundle verifies it. [`ClientCaFile`] verifies client certificates.

mod api;
mod bundle;
mod ca;
mod ca_bundle_watch;
mod client_ca;
mod client_ca_file;
mod file;
mod hex;
mod hold_until_trusted;
pub mod issue;
mod labels;
mod metrics;
pub mod provided;
mod resolver;
pub mod self_managed;
mod serve;
mod server_config;
mod server_verifier;
mod source;
mod trust;

pub use bundle::{Bundle, BundleError};
pub use ca::{CaBundle, CaCertificate, CaId};
pub use ca_bundle_watch::watch_ca_bundle;
pub use client_ca::{ClientCa, ClientCaError, ClientVerifier};
pub use client_ca_file::{ClientCaFile, ClientCaFileError};
pub use file::FileError;
pub use hold_until_trusted::HoldUntilTrusted;
pub use labels::Refused;
pub use metrics::Metrics;
pub use resolver::Resolver;
pub use serve::{Ended, serve_from};
pub use server_config::{ServerConfigError, server_config};
pub use server_verifier::{NoRoots, ServerVerifier};
pub use source::CertSource;
pub use trust::{Trust, TrustError};
