//! Where the webhook's serving certificate comes from, and how it is replaced without failing a handshake.
//!
//! A [`CertSource`] gives one checked [`Bundle`] after another; [`keep`] feeds them to a [`Resolver`], and the
//! [`server_config`] that holds it serves whichever is current. There are two sources: [`provided`], files that somebody
//! else renews, and [`self_managed`], an authority and a leaf that all replicas share in a Secret; it answers for the
//! API server's trust as well, and gives a bundle only once that trust is there. [`Trust`] compares the two for
//! readiness, and [`TrustFirst`] lets files wait for a trust that others keep. [`ClientCaFile`] is the other direction:
//! whose client certificates are accepted.

mod api;
mod bundle;
mod ca;
mod client_ca;
mod client_ca_file;
mod file;
pub mod issue;
mod keep;
mod metrics;
mod observe;
pub mod provided;
mod resolver;
pub mod self_managed;
mod server_config;
mod source;
mod trust;
mod trust_first;

pub use bundle::{Bundle, BundleError};
pub use ca::{CaBundle, CaCertificate, CaId};
pub use client_ca::{ClientCa, ClientCaError, ClientVerifier};
pub use client_ca_file::{ClientCaFile, ClientCaFileError};
pub use file::FileError;
pub use keep::{Ended, keep};
pub use metrics::{Metrics, Refused};
pub use observe::observe;
pub use resolver::Resolver;
pub use server_config::{ServerConfigError, server_config};
pub use source::{CertSource, Clock};
pub use trust::{Trust, TrustError};
pub use trust_first::TrustFirst;
