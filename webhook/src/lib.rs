//! The mutating webhook, which records each workspace before its pod exists.
//!
//! [`router`] answers admission reviews: it extracts tokens and owner from the object, registers them with a
//! [`Registrar`], and annotates pods. [`logstream_runtime::server`] serves it over TLS, with the deadlines and limits that
//! a port open to the cluster needs.
//!
//! A pod is never refused, and never changed beyond five annotations. Unreadable objects are admitted unchanged and
//! counted. Tokens leave this crate only inside a [`Registration`](logstream_core::registration::Registration).

mod admission;
mod annotations;
mod body;
mod decision;
mod metrics;
mod policy;
mod recent_patches;
mod registrar;
mod rejection;
mod review;
mod router;

pub use annotations::{AGENTS, OWNER, PREFIX, RECORDED_AT, REGISTRATION, UNKNOWN, WORKSPACE};
pub use metrics::{Metrics, Outcome};
pub use policy::{Policy, SelectsLabels};
pub use registrar::Registrar;
pub use rejection::Reason;
pub use router::{PATH, router};
