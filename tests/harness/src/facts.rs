//! Numbered Events about a pod ("facts"), each with a unique text, so that every line can be accounted for.

use std::fmt::Write as _;

use anyhow::Result;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use serde_json::json;

use crate::coder::Line;

/// The text of the n-th fact.
pub fn fact(n: usize) -> String {
    format!("fact {n:05}.")
}

/// An Event about a pod, of this type (`Normal` or `Warning`).
pub fn event(pod: &impl ResourceExt, kind: &str, n: usize, message: &str) -> Result<Event> {
    let name = pod.name_any();
    Ok(serde_json::from_value(json!({
        "metadata": { "name": format!("{name}.{}.{n}", kind.to_lowercase()) },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": pod.namespace(),
            "name": name,
            "uid": pod.uid(),
        },
        "type": kind,
        "reason": "Fact",
        "message": message,
        "count": 1,
        "source": { "component": "test" },
    }))?)
}

/// Asserts that each of these texts is in exactly one line, in order.
#[track_caller]
pub fn assert_once_in_order(lines: &[Line], texts: impl IntoIterator<Item = String>) {
    let shown: Vec<String> = lines.iter().map(Line::plain).collect();
    let (mut wrong, mut last) = (String::new(), None);
    for text in texts {
        let places: Vec<_> = (0..shown.len()).filter(|&place| shown[place].contains(&text)).collect();
        match places[..] {
            [place] if last.is_some_and(|last| place < last) => _ = write!(wrong, "{text} comes too early; "),
            [place] => last = Some(place),
            _ => _ = write!(wrong, "{text} at {places:?}; "),
        }
    }
    assert!(wrong.is_empty(), "{wrong}\n{shown:#?}");
}
