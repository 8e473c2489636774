//! Requests to the API server, as RBAC names them.

use std::fmt;

/// Resources that are in no namespace, among those used here.
const CLUSTER_SCOPED: [&str; 6] = [
    "namespaces",
    "mutatingwebhookconfigurations",
    "clusterroles",
    "clusterrolebindings",
    "subjectaccessreviews",
    "selfsubjectaccessreviews",
];

/// A verb on a resource: what a request does and what a permission allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Access {
    /// The verb, such as `list`; `*` in a grant.
    pub(super) verb: String,
    /// The API group, empty for the core group.
    pub(super) group: String,
    /// The resource in the plural, with its subresource.
    pub(super) resource: String,
    /// The namespace; `None` means all, or a resource that is in none.
    pub(super) namespace: Option<String>,
    /// The object's name; `None` means all.
    pub(super) name: Option<String>,
}

impl Access {
    /// Access to all objects of a resource in all namespaces.
    pub(super) fn new(verb: &str, group: &str, resource: &str) -> Self {
        let (verb, group, resource) = (verb.to_owned(), group.to_owned(), resource.to_owned());
        Self { verb, group, resource, namespace: None, name: None }
    }

    /// The same within one namespace, or all if `None`.
    pub(super) fn within<'a>(self, namespace: impl Into<Option<&'a str>>) -> Self {
        Self { namespace: namespace.into().map(str::to_owned), ..self }
    }

    /// The same for one object.
    pub(super) fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// The path of its URL, for a resource of the version v1.
    pub(super) fn path(&self) -> String {
        let mut path = if self.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}/v1", self.group) };
        if let Some(namespace) = &self.namespace {
            path = format!("{path}/namespaces/{namespace}");
        }
        path = format!("{path}/{}", self.resource);
        match &self.name {
            Some(name) => format!("{path}/{name}"),
            None => path,
        }
    }

    /// True if the permission `self` allows all that `other` asks for.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let matches = |own: &str, of: &str| own == "*" || own == of;
        let includes = |own: &Option<String>, of: &Option<String>| own.is_none() || own == of;
        matches(&self.verb, &other.verb)
            && matches(&self.group, &other.group)
            && matches(&self.resource, &other.resource)
            && includes(&self.namespace, &other.namespace)
            && includes(&self.name, &other.name)
    }

    /// True if the resource is in a namespace.
    pub(super) fn is_namespaced(&self) -> bool {
        !CLUSTER_SCOPED.contains(&self.resource.as_str())
    }
}

/// As in `get deployments.apps/NAME in NAMESPACE`.
impl fmt::Display for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(formatter, ".{}", self.group)?;
        }
        if let Some(name) = &self.name {
            write!(formatter, "/{name}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(formatter, " in {namespace}"),
            None if self.is_namespaced() => formatter.write_str(" in all namespaces"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_words_name_group_namespace_and_object() {
        let get = Access::new("get", "apps", "deployments").within("coder").named("logs");
        assert_eq!(get.path(), "/apis/apps/v1/namespaces/coder/deployments/logs");
        assert_eq!(get.to_string(), "get deployments.apps/logs in coder");
        let list = Access::new("list", "", "pods");
        assert_eq!((list.path().as_str(), list.to_string().as_str()), ("/api/v1/pods", "list pods in all namespaces"));
        let cluster = Access::new("get", "", "namespaces").named("coder");
        assert_eq!(cluster.to_string(), "get namespaces/coder");
    }

    #[test]
    fn a_wider_permission_covers_a_narrower_request() {
        let need = Access::new("list", "", "pods").within("coder");
        assert!(Access::new("list", "", "pods").covers(&need));
        assert!(Access::new("*", "*", "*").covers(&need));
        assert!(!Access::new("list", "", "pods").within("other").covers(&need));
        assert!(!Access::new("list", "", "pods").within("coder").named("one").covers(&need));
        assert!(!Access::new("get", "", "pods").covers(&need));
    }
}
