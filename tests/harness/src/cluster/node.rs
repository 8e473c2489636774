//! The simulated node.

/// One node with more room than any test fills.
pub(super) const MANIFEST: &str = include_str!("../../../scenarios/node.yaml");
