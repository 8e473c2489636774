//! The mutating webhook by which this program learns of a workspace before its pod exists.
//!
//! [`router`] answers each AdmissionReview: it takes the agents' tokens and the owner out of the object, hands them to a
//! [`Registrar`] as a claim, and marks pods with annotations that people can read. [`server::Server`] puts it behind
//! TLS with every deadline and limit that a port open to a cluster needs.
//!
//! A pod is never refused, and never changed beyond five annotations of ours. What we cannot understand is admitted
//! as it came and counted. No token leaves this crate except inside a
//! [`Registration`](logstream_core::registration::Registration).

mod admission;
mod annotations;
mod body;
mod issued;
mod judgement;
mod metrics;
mod policy;
mod registrar;
mod rejection;
mod review;
mod router;
pub mod server;

pub use annotations::{AGENTS, OWNER, PREFIX, RECORDED_AT, REGISTRATION, UNKNOWN, WORKSPACE};
pub use metrics::{HandshakeFailure, Kind, Metrics, Outcome};
pub use policy::{Policy, SelectsLabels};
pub use registrar::{Clock, Registrar};
pub use rejection::Reason;
pub use router::{PATH, router};
