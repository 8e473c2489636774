//! Logic of coder-logstream-kube without I/O: agents of objects, findings from Kubernetes facts, and their text.
//!
//! Data flows one way: an [`Observation`](correlate::Observation) goes in, a [`Finding`](finding::Finding) comes out,
//! and [`render`] turns it into a [`LogLine`](line::LogLine). Nothing here depends on an async runtime, HTTP or a
//! client.

mod bounded;
pub mod causes;
pub mod checkpoint;
pub mod correlate;
pub mod dependency;
mod expansion;
pub mod extract;
pub mod fact_id;
pub mod finding;
pub mod identity;
pub mod line;
pub mod object;
pub mod registration;
pub mod render;
pub mod resource;
mod text;
pub mod token;
pub mod workspace;
