//! Output of a report.

mod json;
mod text;

pub(super) use self::{json::json, text::Text};
