//! Names of existing objects, for a user who asked for one that does not exist.

use std::collections::{BTreeMap, BTreeSet};

use logstream_core::{correlate::Object, resource::Kind};

use super::{
    snapshot::Snapshot,
    target::{self, Target, TargetKind},
};

/// Number of names that are shown.
const SHOWN: usize = 10;

/// Names of the objects that were read, by kind, and owners of workspaces.
#[derive(Debug, Default)]
pub(super) struct Existing {
    names: BTreeMap<&'static str, BTreeSet<String>>,
    owners: BTreeSet<String>,
}

/// Collects the names of what was read, with the namespace if several were read.
pub(super) fn existing(snapshot: &Snapshot, with_namespace: bool) -> Existing {
    let mut existing = Existing::default();
    for (_, object) in snapshot.objects.values() {
        let (kind, meta) = match object {
            Object::Pod(pod) => (Kind::Pod, &pod.metadata),
            Object::Workload(kind, workload) => (*kind, &workload.metadata),
        };
        let shown = |name: &str| if with_namespace { format!("{}/{name}", meta.namespace) } else { name.to_owned() };
        let mut add = |kind: &str, name: &str| {
            if let Some(kind) = TargetKind::of_api(kind) {
                existing.names.entry(kind.name()).or_default().insert(shown(name));
            }
        };
        add(kind.as_str(), &meta.name);
        if let Some(owner) = meta.controller() {
            add(&owner.kind, &owner.name);
        }
        existing.owners.extend(Some(target::owner(object).user).filter(|user| !user.is_empty()));
    }
    existing
}

impl Existing {
    /// A text such as `; pods are: a, b`, for the requested kind.
    pub(super) fn describe(&self, target: &Target) -> String {
        let none = BTreeSet::new();
        let (what, names, wanted) = match target {
            Target::Owner(user) => ("owners of workspaces", &self.owners, user.as_str()),
            Target::Named(kind, name) => (kind.plural(), self.names.get(kind.name()).unwrap_or(&none), name.as_str()),
            Target::All | Target::Labels(_) => ("pods", self.names.get("pod").unwrap_or(&none), ""),
        };
        match target {
            Target::All => String::new(),
            _ if names.is_empty() => format!("; there are no {what} at all"),
            _ => format!("; {what} are: {}", most_similar(names, wanted)),
        }
    }
}

/// Some of the names, the most similar first, then by name.
pub(super) fn most_similar(names: &BTreeSet<String>, wanted: &str) -> String {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort_by_key(|name| std::cmp::Reverse(similarity(name, wanted)));
    let more = names.len().saturating_sub(SHOWN);
    let shown: Vec<&str> = names.iter().take(SHOWN).map(|name| name.as_str()).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}

/// Number of leading characters that a name has in common with the wanted one; more if one contains the other.
fn similarity(name: &str, wanted: &str) -> usize {
    let name = name.rsplit('/').next().unwrap_or(name);
    let common = name.chars().zip(wanted.chars()).take_while(|(one, other)| one == other).count();
    let contained = !wanted.is_empty() && (name.contains(wanted) || wanted.contains(name));
    common + if contained { wanted.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use logstream_core::{fact_id::ScopeId, identity::Uid};
    use serde_json::json;

    use super::*;

    fn snapshot(names: &[&str]) -> Snapshot {
        let pods = names.iter().map(|name| {
            let owner = json!([{ "kind": "StatefulSet", "name": "web", "uid": "s", "controller": true }]);
            let pod = json!({ "metadata": { "name": name, "namespace": "ns", "uid": name, "ownerReferences": owner } });
            let object = Object::Pod(serde_json::from_value(pod).unwrap());
            (Uid::parse(name).unwrap(), (ScopeId(0), object))
        });
        Snapshot { objects: pods.collect(), ..Snapshot::default() }
    }

    fn described(names: &[&str], with_namespace: bool, target: &str) -> String {
        existing(&snapshot(names), with_namespace).describe(&Target::parse(&[target.to_owned()]).unwrap())
    }

    #[test]
    fn names_of_the_kind_are_listed_with_the_most_similar_first() {
        assert_eq!(described(&["api", "web-0", "web-1"], false, "pod/web-2"), "; pods are: web-0, web-1, api");
        assert_eq!(described(&["api"], true, "sts/other"), "; statefulsets are: ns/web");
        assert_eq!(described(&["api"], false, "job/other"), "; there are no jobs at all");
    }

    #[test]
    fn of_many_names_ten_are_shown() {
        let names: Vec<String> = (0..12).map(|number| format!("pod-{number:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = described(&names, false, "pod/x");
        assert!(text.contains("pod-09") && text.ends_with(" and 2 more"), "{text}");
    }

    #[test]
    fn owners_are_listed_for_an_owner() {
        let existing = existing(&snapshot(&["coder-alice-dev", "other"]), false);
        assert_eq!(existing.describe(&Target::Owner("bob".to_owned())), "; owners of workspaces are: alice");
    }
}
