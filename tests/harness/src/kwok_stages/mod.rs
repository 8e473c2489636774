//! kwok Stage objects that play the scenarios: each is one step of a pod's lifecycle.
//!
//! A stage is selected by the pod's annotation [`crate::scenarios::ANNOTATION`] and its status; after its delay it
//! writes Events and the next status. Stages are generated rather than kept as files, because most of their text
//! repeats.

mod event;
mod scenarios;
mod stage;
mod status;

/// All stages as one YAML file, for kwok's `--config`.
pub fn document() -> String {
    let nodes = include_str!("../../../scenarios/node-ready.yaml");
    let mut text = nodes.to_owned();
    for stage in scenarios::all() {
        text.push_str("---\n");
        text.push_str(&stage.object().to_string());
        text.push('\n');
    }
    text
}
