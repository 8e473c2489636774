//! Scopes to watch: each resource, in each namespace or in all of them.

use std::sync::Arc;

use logstream_core::{dependency::CLUSTER_EVENTS, fact_id::ScopeId, resource::Resource};

/// Maximum number of namespaces in a table of scopes, with one scope for the Events of nodes. `config` rejects more.
/// Instead of that many watches, watch all namespaces at once.
pub const MAX_NAMESPACES: usize = u16::MAX as usize / Resource::COUNT;

/// A resource within one namespace, or within all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The resource.
    pub resource: Resource,
    /// The namespace; `None` means all.
    pub namespace: Option<Arc<str>>,
}

impl Scope {
    /// Name of the scope in the saved checkpoint, such as `events/ns` or `pods/*`. It does not depend on the other
    /// scopes.
    pub fn key(&self) -> String {
        format!("{}/{}", self.resource.name(), self.namespace.as_deref().unwrap_or("*"))
    }

    /// Description of the scope, such as `pods in ns` or `events in all namespaces`.
    pub fn words(&self) -> String {
        let what = if self.resource == Resource::NodeEvents { "events of nodes" } else { self.resource.plural() };
        match &self.namespace {
            Some(namespace) => format!("{what} in {namespace}"),
            None => format!("{what} in all namespaces"),
        }
    }

    /// True if the scope includes the namespace that holds the Events of nodes.
    pub(super) fn has_cluster_events(&self) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| namespace == CLUSTER_EVENTS)
    }
}

/// All scopes of this process. A [`ScopeId`] is an index into it and is valid for this process only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes {
    scopes: Vec<Scope>,
    node_events: bool,
}

impl Scopes {
    /// Creates a scope of every resource for each of these namespaces, or for all namespaces if none is named.
    /// Duplicates are merged, and namespaces beyond [`MAX_NAMESPACES`] are left out.
    pub fn new(namespaces: &[String]) -> Self {
        let mut wanted: Vec<Option<Arc<str>>> = Vec::new();
        for namespace in namespaces.iter().filter(|namespace| !namespace.is_empty()) {
            let namespace = Some(Arc::from(namespace.as_str()));
            if !wanted.contains(&namespace) && wanted.len() < MAX_NAMESPACES {
                wanted.push(namespace);
            }
        }
        if wanted.is_empty() {
            wanted.push(None);
        }
        let scopes = wanted.into_iter().flat_map(|namespace| {
            Resource::all().map(move |resource| Scope { resource, namespace: namespace.clone() })
        });
        Self { scopes: scopes.collect(), node_events: false }
    }

    /// Adds the Events of nodes, in a scope of their own if no other scope includes them.
    #[must_use]
    pub fn with_node_events(mut self) -> Self {
        if !std::mem::replace(&mut self.node_events, true) && !self.scopes.iter().any(Scope::has_cluster_events) {
            self.scopes.push(Scope { resource: Resource::NodeEvents, namespace: Some(CLUSTER_EVENTS.into()) });
        }
        self
    }

    /// True if the Events of nodes are watched.
    pub(super) fn have_node_events(&self) -> bool {
        self.node_events
    }

    /// Number of scopes; never 0.
    #[expect(clippy::len_without_is_empty, reason = "there is always a scope")]
    pub fn len(&self) -> usize {
        self.scopes.len()
    }

    /// All scopes, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (ScopeId, &Scope)> {
        (0..=u16::MAX).map(ScopeId).zip(&self.scopes)
    }

    /// The scope with this id; `None` for an id of another table.
    pub fn get(&self, id: ScopeId) -> Option<&Scope> {
        self.scopes.get(usize::from(id.0))
    }

    /// The scope that includes objects of this resource and namespace, if they are watched.
    pub fn covering(&self, resource: Resource, namespace: &str) -> Option<ScopeId> {
        self.iter()
            .find(|(_, scope)| {
                scope.resource == resource && scope.namespace.as_deref().is_none_or(|watched| watched == namespace)
            })
            .map(|(id, _)| id)
    }

    /// The scope with this name in the saved checkpoint.
    pub fn by_key(&self, key: &str) -> Option<ScopeId> {
        self.iter().find(|(_, scope)| scope.key() == key).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use logstream_core::resource::Kind;

    use super::*;

    const PODS: Resource = Resource::Objects(Kind::Pod);

    fn scopes(namespaces: &[&str]) -> Scopes {
        Scopes::new(&namespaces.iter().map(|namespace| (*namespace).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn no_namespace_means_all_of_them() {
        let scopes = scopes(&[]);
        assert_eq!(scopes.len(), Resource::COUNT);
        let id = scopes.covering(PODS, "any").unwrap();
        assert_eq!(scopes.get(id).unwrap().key(), "pods/*");
        assert_eq!(scopes.get(id).unwrap().words(), "pods in all namespaces");
    }

    #[test]
    fn a_key_finds_its_scope_whatever_the_others_are() {
        let before = scopes(&["a", "b", "a"]);
        assert_eq!(before.len(), 2 * Resource::COUNT);
        let after = scopes(&["c", "b"]);
        for (id, scope) in before.iter() {
            assert_eq!(before.by_key(&scope.key()), Some(id));
            let watched_after = scope.namespace.as_deref() == Some("b");
            assert_eq!(after.by_key(&scope.key()).is_some(), watched_after, "{}", scope.key());
        }
        assert_eq!(before.covering(Resource::Objects(Kind::Job), "c"), None);
        assert!(after.covering(PODS, "c").is_some());
    }

    #[test]
    fn events_of_nodes_have_a_scope_where_no_other_shows_them() {
        for namespaces in [&[][..], &["a", "default"]] {
            let with = scopes(namespaces).with_node_events();
            assert_eq!(with.len(), scopes(namespaces).len());
        }
        let with = scopes(&["a"]).with_node_events().with_node_events();
        assert_eq!(with.len(), Resource::COUNT + 1);
        let id = with.by_key("nodeevents/default").unwrap();
        assert_eq!(with.get(id).unwrap().words(), "events of nodes in default");
    }

    #[test]
    fn more_namespaces_than_ids_do_not_overflow() {
        let many: Vec<String> = (0..MAX_NAMESPACES + 7).map(|number| format!("ns-{number}")).collect();
        let scopes = Scopes::new(&many).with_node_events();
        assert_eq!(scopes.len(), MAX_NAMESPACES * Resource::COUNT + 1);
        assert_eq!(scopes.iter().count(), scopes.len());
    }
}
