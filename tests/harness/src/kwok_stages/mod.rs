//! The scenarios as kwok plays them: Stage objects, each of which is one step of a pod's life.
//!
//! A stage is chosen by the pod's annotation [`crate::scenarios::ANNOTATION`] and by its status; after its delay it
//! writes Events and the next status. They are composed here rather than kept as files, because nearly all of their
//! text is the same Event and the same status again and again.

mod event;
mod scenarios;
mod stage;
mod status;

/// All stages, as one file for kwok's `--config`.
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
