//! The workspace that an object belongs to.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::object::Meta;

/// A workspace across its starts: the namespace and Coder's workspace id. Each start has a new token.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkspaceKey(Arc<str>);

impl WorkspaceKey {
    /// Returns the workspace of an object, if its labels have Coder's workspace id.
    pub fn of(namespace: &str, meta: &Meta) -> Option<Self> {
        let id = meta.labels.get(WORKSPACE_ID).filter(|id| !id.is_empty())?;
        Some(Self(format!("{namespace}/{id}").into()))
    }
}

impl fmt::Debug for WorkspaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// User and workspace that an object belongs to, for display only: the token decides who reads a line.
///
/// A prebuilt workspace has the pseudo-user `prebuilds` until it is claimed, and some of its objects keep it after
/// that. Any other user that an object names takes precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The user's name; empty if it is unknown.
    pub user: String,
    /// The workspace's name; the namespace if it is unknown.
    pub workspace: String,
}

const WORKSPACE_ID: &str = "com.coder.workspace.id";
const USERNAME: &str = "com.coder.user.username";
const WORKSPACE: &str = "com.coder.workspace.name";
const EMAIL: &str = "com.coder.user.email";

/// Pseudo-user of prebuilt workspaces that are not claimed yet.
const PREBUILDS: &str = "prebuilds";

impl Owner {
    /// True if the user is known, and not the pseudo-user of prebuilt workspaces.
    pub fn is_person(&self) -> bool {
        !self.user.is_empty() && !is_prebuilds(&self.user)
    }

    /// Derives the owner from the metadata of objects, the most reliable first: the pod, its ReplicaSet, its
    /// Deployment. `name` is the pod's name, or its `generateName`, or its workload's name.
    ///
    /// The sources in order of precedence are labels, annotations (for the user also the e-mail one), a name of the
    /// form `coder-OWNER-WORKSPACE`, and for the workspace the namespace. Labels and annotations with the pseudo-user
    /// of prebuilt workspaces count only if no other label or annotation has a user.
    pub fn derive(sources: &[&Meta], name: &str, namespace: &str) -> Self {
        let label = |key: &str| first(sources.iter().map(|meta| &meta.labels), key);
        let annotation = |key: &str| first(sources.iter().map(|meta| &meta.annotations.known), key);
        let from_name = parse_name(name);
        let users = sources.iter().map(|meta| &meta.labels);
        let users = values(users, USERNAME)
            .chain(values(sources.iter().map(|meta| &meta.annotations.known), USERNAME))
            .chain(values(sources.iter().map(|meta| &meta.annotations.known), EMAIL));
        let users: Vec<&String> = users.collect();
        let user = users.iter().find(|user| !is_prebuilds(user)).or(users.first());
        // Objects that still have the pseudo-user also have the prebuilt workspace's name.
        let is_claimed = |meta: &&&Meta| meta.labels.get(USERNAME).is_none_or(|user| !is_prebuilds(user));
        let claimed = || first(sources.iter().filter(is_claimed).map(|meta| &meta.labels), WORKSPACE);
        Self {
            user: user
                .map(|user| (*user).clone())
                .or_else(|| from_name.map(|(user, _)| user.to_owned()))
                .unwrap_or_default(),
            workspace: claimed()
                .or_else(|| label(WORKSPACE))
                .or_else(|| annotation(WORKSPACE))
                .or_else(|| from_name.map(|(_, workspace)| workspace.to_owned()))
                .unwrap_or_else(|| namespace.to_owned()),
        }
    }
}

fn first<'a>(maps: impl Iterator<Item = &'a BTreeMap<String, String>>, key: &str) -> Option<String> {
    values(maps, key).next().cloned()
}

fn values<'a>(maps: impl Iterator<Item = &'a BTreeMap<String, String>>, key: &str) -> impl Iterator<Item = &'a String> {
    maps.filter_map(move |map| map.get(key)).filter(|value| !value.is_empty())
}

fn is_prebuilds(user: &str) -> bool {
    user.split('@').next() == Some(PREBUILDS)
}

/// Splits `coder-OWNER-WORKSPACE` at the first hyphen after `coder-`. A hyphen that belongs to a Coder user name cannot
/// be recognized.
fn parse_name(name: &str) -> Option<(&str, &str)> {
    let (user, workspace) = name.strip_prefix("coder-")?.split_once('-')?;
    let workspace = workspace.trim_end_matches('-');
    (!user.is_empty() && !workspace.is_empty()).then_some((user, workspace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Annotations;

    fn meta(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Meta {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let annotations = Annotations { known: map(annotations), other: 0 };
        Meta { labels: map(labels), annotations, ..Meta::default() }
    }

    #[test]
    fn labels_win_over_annotations_and_names() {
        let pod = meta(&[(USERNAME, "alice"), (WORKSPACE, "dev")], &[(EMAIL, "alice@example.com")]);
        let owner = Owner::derive(&[&pod], "coder-bob-web", "ns");
        assert_eq!((owner.user.as_str(), owner.workspace.as_str()), ("alice", "dev"));
    }

    #[test]
    fn any_other_user_comes_before_the_pseudo_user_of_prebuilt_workspaces() {
        let pod = meta(&[(USERNAME, "prebuilds"), (WORKSPACE, "prebuilt-1")], &[]);
        let deployment = meta(&[(USERNAME, "alice"), (WORKSPACE, "dev")], &[(EMAIL, "alice@example.com")]);
        let owner = Owner::derive(&[&pod, &deployment], "prebuilt-1", "ns");
        assert_eq!((owner.user.as_str(), owner.workspace.as_str()), ("alice", "dev"));
        let owner = Owner::derive(&[&pod], "prebuilt-1", "ns");
        assert_eq!((owner.user.as_str(), owner.workspace.as_str()), ("prebuilds", "prebuilt-1"));
        assert!(!owner.is_person());
    }

    #[test]
    fn email_name_and_namespace_stand_in_for_missing_labels() {
        let pod = meta(&[], &[]);
        let replicaset = meta(&[], &[(EMAIL, "bob@example.com")]);
        let owner = Owner::derive(&[&pod, &replicaset], "coder-bob-web-", "ns");
        assert_eq!((owner.user.as_str(), owner.workspace.as_str()), ("bob@example.com", "web"));
        let owner = Owner::derive(&[&pod], "something", "ns");
        assert_eq!((owner.user.as_str(), owner.workspace.as_str()), ("", "ns"));
    }
}
