//! Comparison of a ServiceAccount's permissions with its requests.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::requests::Request;

/// One permission: one verb on one resource, by one role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The binding's namespace; `None` for the whole cluster.
    pub namespace: Option<String>,
    /// The role's name.
    pub role: String,
    /// The API group.
    pub group: String,
    /// The resource.
    pub resource: String,
    /// The only object it applies to; `None` for all.
    pub name: Option<String>,
    /// The verb.
    pub verb: String,
}

/// All permissions of an account, by the bindings that name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants(pub Vec<Grant>);

/// Uses of each permission, and forbidden requests.
#[derive(Debug)]
pub struct Review {
    used: BTreeMap<Grant, usize>,
    refused: Vec<Request>,
}

impl Grants {
    /// Reads the bindings of an account and their roles.
    pub async fn of(client: &Client, namespace: &str, account: &str) -> Result<Self> {
        let all = ListParams::default();
        let names = |subjects: &Option<Vec<Subject>>| {
            let is = |one: &Subject| one.name == account && one.namespace.as_deref() == Some(namespace);
            subjects.iter().flatten().any(is)
        };
        let mut grants = Vec::new();
        for binding in Api::<RoleBinding>::all(client.clone()).list(&all).await? {
            if names(&binding.subjects) {
                let within = binding.namespace().context("a RoleBinding has a namespace")?;
                let rules = rules(client, &binding.role_ref, Some(&within)).await?;
                grants.extend(expand(Some(&within), &binding.role_ref.name, &rules));
            }
        }
        for binding in Api::<ClusterRoleBinding>::all(client.clone()).list(&all).await? {
            if names(&binding.subjects) {
                let rules = rules(client, &binding.role_ref, None).await?;
                grants.extend(expand(None, &binding.role_ref.name, &rules));
            }
        }
        grants.sort();
        Ok(Self(grants))
    }

    /// Compares them with requests. A wildcard never counts as used.
    pub fn review(&self, requests: &[Request]) -> Review {
        let uses = |grant: &Grant| requests.iter().filter(|request| grant.allows(request)).count();
        Review {
            used: self.0.iter().map(|grant| (grant.clone(), uses(grant))).collect(),
            refused: requests.iter().filter(|request| request.code == 403).cloned().collect(),
        }
    }
}

impl Grant {
    /// Returns true if the request may have been allowed by it. An apply that created its object needs `create` too.
    fn allows(&self, request: &Request) -> bool {
        let verb = self.verb == request.verb || self.verb == "create" && request.verb == "patch" && request.code == 201;
        let matches = |of: &Option<String>, is: &str| of.as_deref().is_none_or(|of| of == is);
        verb && request.code != 403
            && self.group == request.group
            && self.resource == request.resource
            && matches(&self.namespace, &request.namespace)
            && matches(&self.name, &request.name)
    }
}

impl Review {
    /// Returns true if every permission was used and no request was forbidden.
    pub fn is_clean(&self) -> bool {
        self.refused.is_empty() && self.used.values().all(|&count| count > 0)
    }

    /// Returns true if a request was forbidden.
    pub fn is_refused(&self) -> bool {
        !self.refused.is_empty()
    }
}

/// A table of all permissions with the number of requests that used each, then the forbidden requests.
impl fmt::Display for Review {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (grant, count) in &self.used {
            let count = if *count == 0 { "UNUSED".to_owned() } else { count.to_string() };
            let place = grant.namespace.as_deref().unwrap_or("(cluster)");
            let what = if grant.group.is_empty() {
                grant.resource.clone()
            } else {
                format!("{}.{}", grant.resource, grant.group)
            };
            let name = grant.name.as_deref().unwrap_or_default();
            writeln!(formatter, "{count:>7}  {place:<40} {:<7} {what} {name}  by {}", grant.verb, grant.role)?;
        }
        for Request { verb, group, resource, namespace, name, .. } in &self.refused {
            writeln!(formatter, "REFUSED  {namespace:<40} {verb:<7} {resource}.{group} {name}")?;
        }
        Ok(())
    }
}

async fn rules(client: &Client, role: &RoleRef, namespace: Option<&str>) -> Result<Vec<PolicyRule>> {
    let rules = match (&*role.kind, namespace) {
        ("Role", Some(namespace)) => Api::<Role>::namespaced(client.clone(), namespace).get(&role.name).await?.rules,
        _ => Api::<ClusterRole>::all(client.clone()).get(&role.name).await?.rules,
    };
    Ok(rules.unwrap_or_default())
}

fn expand(namespace: Option<&str>, role: &str, rules: &[PolicyRule]) -> Vec<Grant> {
    let mut grants = Vec::new();
    for rule in rules {
        let names = rule.resource_names.as_deref().unwrap_or_default();
        let names = if names.is_empty() { vec![None] } else { names.iter().cloned().map(Some).collect() };
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for name in &names {
                    grants.extend(rule.verbs.iter().map(|verb| Grant {
                        namespace: namespace.map(str::to_owned),
                        role: role.to_owned(),
                        group: group.clone(),
                        resource: resource.clone(),
                        name: name.clone(),
                        verb: verb.clone(),
                    }));
                }
            }
        }
    }
    grants
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(verb: &str, namespace: &str, name: &str, code: u16) -> Request {
        Request {
            verb: verb.to_owned(),
            group: String::new(),
            resource: "secrets".to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            code,
        }
    }

    fn grants() -> Grants {
        let rule = PolicyRule {
            resource_names: Some(vec!["own".to_owned()]),
            ..crate::access::rule("", &["secrets"], &["get", "create", "patch"])
        };
        Grants(expand(Some("home"), "role", &[rule]))
    }

    #[test]
    fn permissions_without_requests_are_unused() {
        let used = [request("get", "home", "own", 404), request("patch", "home", "own", 200)];
        let review = grants().review(&used);
        assert!(!review.is_clean() && !review.is_refused(), "{review}");
        assert!(review.to_string().lines().any(|line| line.contains("UNUSED") && line.contains("create")), "{review}");
    }

    #[test]
    fn an_apply_that_creates_its_object_uses_create() {
        let used = [request("get", "home", "own", 200), request("patch", "home", "own", 201)];
        assert!(grants().review(&used).is_clean());
    }

    #[test]
    fn other_objects_and_forbidden_requests_use_no_permission() {
        let requests = [request("get", "home", "other", 200), request("get", "away", "own", 200)];
        assert!(grants().review(&requests).used.values().all(|&count| count == 0));
        let review = grants().review(&[request("get", "home", "own", 403)]);
        assert!(review.is_refused() && review.to_string().contains("REFUSED"), "{review}");
    }
}
