//! The annotations that `kubectl describe pod` shows: the pod's owner and agents.

use std::collections::BTreeMap;

use jiff::Timestamp;
use json_patch::{AddOperation, Patch, PatchOperation, jsonptr::PointerBuf};
use logstream_core::{
    extract::{Agent, Holder, TokenSource},
    object::Annotations as Annotated,
    workspace::Owner,
};
use serde_json::Value;

use crate::recent_patches::RecentPatches;

/// Prefix of the annotations' keys. Only the five below are written; others with this prefix are left alone.
pub const PREFIX: &str = "logstream.coder.com/";
/// The user.
pub const OWNER: &str = "logstream.coder.com/owner";
/// The workspace.
pub const WORKSPACE: &str = "logstream.coder.com/workspace";
/// The agents, separated by commas: `container=fingerprint`, or `container=by-secret`, `container=by-configmap` or
/// `container=by-reference` if the token is not in the spec itself.
pub const AGENTS: &str = "logstream.coder.com/agents";
/// Time of admission: RFC 3339, UTC, whole seconds.
pub const RECORDED_AT: &str = "logstream.coder.com/recorded-at";
/// The uid of the review.
pub const REGISTRATION: &str = logstream_core::registration::ANNOTATION;

/// Value for an unknown owner.
pub const UNKNOWN: &str = "unknown";

/// Kubernetes' limit for the keys and values of all annotations of an object, in bytes (`TotalAnnotationSizeLimitB` of
/// apimachinery). A pod that exceeds it is refused, so these annotations must not be the ones that exceed it.
const TOTAL_SIZE: usize = 256 * 1024;

/// The annotations of a pod.
#[derive(Debug)]
pub(crate) struct Annotations<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) agents: String,
    pub(crate) recorded_at: Timestamp,
    pub(crate) registration: &'a str,
}

/// The change of a pod's annotations.
#[derive(Debug, PartialEq)]
pub(crate) enum Change {
    /// An earlier call for the same pod has already written them.
    None,
    /// They do not fit into the limit.
    NoRoom,
    /// A patch.
    Patch(Patch),
}

impl Annotations<'_> {
    /// Compares them with a pod's annotations. The patch applies to any pod that has an object as `metadata` and whose
    /// annotations are absent, null or these; the API server rejects a pod to which a patch does not apply.
    pub(crate) fn change(&self, existing: &Annotated, recent: &RecentPatches) -> Change {
        let Annotated { known, other } = existing;
        if self.are_there(known, recent) {
            return Change::None;
        }
        let ours = self.entries();
        let theirs = known.iter().filter(|(key, _)| !ours.iter().any(|(ours, _)| ours == key));
        let size = other
            + theirs.map(|(key, value)| key.len() + value.len()).sum::<usize>()
            + ours.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        if size > TOTAL_SIZE {
            return Change::NoRoom;
        }
        let mut operations = Vec::with_capacity(1 + ours.len());
        if known.is_empty() && *other == 0 {
            operations.push(add(&["metadata", "annotations"], Value::Object(serde_json::Map::new())));
        }
        operations.extend(ours.into_iter().map(|(key, value)| add(&["metadata", "annotations", key], value.into())));
        Change::Patch(Patch(operations))
    }

    /// True if an earlier call for the same pod has already written them: the same review again, or a reinvocation.
    fn are_there(&self, existing: &BTreeMap<String, String>, recent: &RecentPatches) -> bool {
        let get = |key| existing.get(key).map(String::as_str).unwrap_or_default();
        let written = get(REGISTRATION) == self.registration && !get(RECORDED_AT).is_empty()
            || recent.at(get(REGISTRATION)).is_some_and(|at| get(RECORDED_AT) == seconds(at));
        written && get(OWNER) == self.user() && get(WORKSPACE) == self.owner.workspace && get(AGENTS) == self.agents
    }

    fn user(&self) -> &str {
        if self.owner.user.is_empty() { UNKNOWN } else { &self.owner.user }
    }

    fn entries(&self) -> [(&'static str, String); 5] {
        [
            (OWNER, self.user().to_owned()),
            (WORKSPACE, self.owner.workspace.clone()),
            (AGENTS, self.agents.clone()),
            (RECORDED_AT, seconds(self.recorded_at)),
            (REGISTRATION, self.registration.to_owned()),
        ]
    }
}

/// Human-readable list of the agents.
pub(crate) fn describe<'a>(agents: impl IntoIterator<Item = &'a Agent>) -> String {
    let describe = |agent: &Agent| match &agent.source {
        TokenSource::Value(token) => format!("{}={}", agent.container, token.fingerprint()),
        TokenSource::Reference(references) => {
            let all = |holder| references.iter().all(|reference| reference.holder == holder);
            let word = match () {
                () if all(Holder::Secret) => "by-secret",
                () if all(Holder::ConfigMap) => "by-configmap",
                () => "by-reference",
            };
            format!("{}={word}", agent.container)
        }
    };
    agents.into_iter().map(describe).collect::<Vec<_>>().join(",")
}

fn add(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(path.iter().copied()), value })
}

fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> Annotated {
        let entries = entries.iter().map(|(key, value)| (*key, *value)).collect::<BTreeMap<_, _>>();
        serde_json::from_value(serde_json::json!(entries)).unwrap()
    }

    fn annotations(owner: &Owner) -> Annotations<'_> {
        Annotations {
            owner,
            agents: "dev=0a1b2c3d".into(),
            recorded_at: "2026-11-22T17:35:45.987Z".parse().unwrap(),
            registration: "038d7218-11c0-47e3-a5a3-d8f126b50d96",
        }
    }

    fn owner() -> Owner {
        Owner { user: String::new(), workspace: "dev".into() }
    }

    #[test]
    fn a_pod_without_annotations_gets_the_map_first_and_keys_are_escaped() {
        let Change::Patch(patch) = annotations(&owner()).change(&map(&[]), &RecentPatches::default()) else { panic!() };
        let patch = serde_json::to_value(patch).unwrap();
        assert_eq!(patch[0], serde_json::json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
        let escaped = "/metadata/annotations/logstream.coder.com~1owner";
        assert_eq!(patch[1], serde_json::json!({"op": "add", "path": escaped, "value": "unknown"}));
        assert_eq!(patch[4]["value"], "2026-11-22T17:35:45Z");
        assert_eq!(patch.as_array().unwrap().len(), 6);
    }

    #[test]
    fn a_recent_patch_is_recognized_and_a_partial_copy_is_not() {
        let (owner, recent) = (owner(), RecentPatches::default());
        let earlier = "00000000-11c0-47e3-a5a3-d8f126b50d96";
        let at: Timestamp = "2026-11-22T17:35:44Z".parse().unwrap();
        let written = [
            (OWNER, "unknown"),
            (WORKSPACE, "dev"),
            (AGENTS, "dev=0a1b2c3d"),
            (RECORDED_AT, "2026-11-22T17:35:44Z"),
            (REGISTRATION, earlier),
        ];
        assert!(matches!(annotations(&owner).change(&map(&written), &recent), Change::Patch(_)));
        recent.remember(earlier, at);
        assert_eq!(annotations(&owner).change(&map(&written), &recent), Change::None);
        for index in 0..written.len() {
            let mut forged = written;
            forged[index].1 = "forged";
            assert!(matches!(annotations(&owner).change(&map(&forged), &recent), Change::Patch(_)), "{forged:?}");
        }
    }

    #[test]
    fn annotations_of_others_are_left_alone() {
        let Change::Patch(patch) = annotations(&owner()).change(&map(&[("", "")]), &RecentPatches::default()) else {
            panic!()
        };
        let patch = serde_json::to_value(patch).unwrap();
        assert!(patch.as_array().unwrap().iter().all(|step| step["path"] != "/metadata/annotations"), "{patch}");
    }

    #[test]
    fn annotations_keep_a_pod_within_the_limits_of_kubernetes() {
        let owner = owner();
        let annotations = annotations(&owner);
        let ours = annotations.entries().iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        let filled = |size: usize| map(&[("k", &"v".repeat(size - 1)), (OWNER, "replaced, so it counts for nothing")]);
        let room = annotations.change(&filled(TOTAL_SIZE - ours), &RecentPatches::default());
        assert!(matches!(room, Change::Patch(_)));
        assert_eq!(annotations.change(&filled(TOTAL_SIZE - ours + 1), &RecentPatches::default()), Change::NoRoom);
    }
}
