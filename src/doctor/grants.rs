//! Permissions that the program has.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use serde::Deserialize;
use serde_json::json;

use super::{
    access::Access,
    api::{Api, ApiError},
    context::Context,
};

const RBAC: &str = "rbac.authorization.k8s.io";
/// A namespace that every cluster has and where the program has no Role.
const ELSEWHERE: &str = "kube-system";
/// API groups with relevant permissions. Some distributions grant every account permissions on other groups of their
/// own.
const GROUPS: [&str; 7] = ["*", "", "apps", "batch", RBAC, "admissionregistration.k8s.io", "coordination.k8s.io"];

/// All permissions of the program's account, as far as they are granted in its own and the watched namespaces or
/// cluster-wide.
pub(super) async fn of(context: &Context, other: Option<&(String, String)>) -> Result<BTreeSet<Access>, ApiError> {
    let mut namespaces: BTreeSet<&str> = context.scopes().into_iter().flatten().collect();
    namespaces.extend(context.home());
    let grants = match other {
        None => own(&context.api, &namespaces).await?,
        Some(account) => bound(&context.api, &namespaces, account).await?,
    };
    Ok(grants.into_iter().filter(|grant| GROUPS.contains(&grant.group.as_str())).collect())
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RulesStatus {
    resource_rules: Vec<PolicyRule>,
}

/// Permissions of the account that `doctor` runs with, by rules reviews.
async fn own(api: &Api, namespaces: &BTreeSet<&str>) -> Result<BTreeSet<Access>, ApiError> {
    let everywhere = expanded(&rules_in(api, ELSEWHERE).await?, None);
    let mut grants = everywhere.clone();
    for namespace in namespaces.iter().filter(|namespace| **namespace != ELSEWHERE) {
        // A rules review does not say which of the rules apply in all namespaces.
        let here = expanded(&rules_in(api, namespace).await?, Some(namespace));
        let is_local = |grant: &Access| !everywhere.contains(&grant.clone().within(None));
        grants.extend(here.into_iter().filter(is_local));
    }
    Ok(grants)
}

async fn rules_in(api: &Api, namespace: &str) -> Result<Vec<PolicyRule>, ApiError> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": { "namespace": namespace },
    });
    let create = Access::new("create", "authorization.k8s.io", "selfsubjectrulesreviews");
    let answer = api.review(&create, &review).await?;
    let status = answer.get("status").cloned().unwrap_or_default();
    let status: RulesStatus = serde_json::from_value(status).unwrap_or_default();
    Ok(status.resource_rules)
}

/// Permissions of another account, by the bindings that name it and their roles.
async fn bound(
    api: &Api,
    namespaces: &BTreeSet<&str>,
    account: &(String, String),
) -> Result<BTreeSet<Access>, ApiError> {
    let mut grants = BTreeSet::new();
    for binding in api.list::<ClusterRoleBinding>(&Access::new("list", RBAC, "clusterrolebindings"), "").await? {
        if names(binding.subjects.as_deref(), account) {
            grants.extend(expanded(&rules(api, &binding.role_ref, None).await?, None));
        }
    }
    for namespace in namespaces {
        let list = Access::new("list", RBAC, "rolebindings").within(*namespace);
        for binding in api.list::<RoleBinding>(&list, "").await? {
            if names(binding.subjects.as_deref(), account) {
                let rules = rules(api, &binding.role_ref, Some(namespace)).await?;
                grants.extend(expanded(&rules, Some(namespace)));
            }
        }
    }
    Ok(grants)
}

fn names(subjects: Option<&[Subject]>, (namespace, account): &(String, String)) -> bool {
    let group = format!("system:serviceaccounts:{namespace}");
    subjects.unwrap_or_default().iter().any(|subject| match subject.kind.as_str() {
        "ServiceAccount" => subject.name == *account && subject.namespace.as_ref() == Some(namespace),
        "Group" => subject.name == group,
        _ => false,
    })
}

/// The rules of a role; none if it does not exist.
async fn rules(api: &Api, role: &RoleRef, namespace: Option<&str>) -> Result<Vec<PolicyRule>, ApiError> {
    let rules = if role.kind == "ClusterRole" {
        let get = Access::new("get", RBAC, "clusterroles").named(&role.name);
        api.find::<ClusterRole>(&get).await?.and_then(|role| role.rules)
    } else {
        let get = Access::new("get", RBAC, "roles").within(namespace).named(&role.name);
        api.find::<Role>(&get).await?.and_then(|role| role.rules)
    };
    Ok(rules.unwrap_or_default())
}

/// Each combination of verb, group, resource and name.
fn expanded(rules: &[PolicyRule], namespace: Option<&str>) -> BTreeSet<Access> {
    let mut all = BTreeSet::new();
    for rule in rules {
        let names: Vec<Option<&String>> = match rule.resource_names.as_deref() {
            None | Some([]) => vec![None],
            Some(names) => names.iter().map(Some).collect(),
        };
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    for name in &names {
                        let access = Access::new(verb, group, resource).within(namespace);
                        all.insert(match name {
                            Some(name) => access.named(name),
                            None => access,
                        });
                    }
                }
            }
        }
    }
    all
}
