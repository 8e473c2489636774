//! `ServiceAccounts` with exactly the given permissions.

use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::Admin;

/// Lifetime of a token: longer than any test. The API server's minimum is ten minutes.
const LIFETIME_SECONDS: u32 = 6 * 60 * 60;

/// Scope of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The ServiceAccount's namespace and these: a Role and a `RoleBinding` in each.
    Namespaces(Vec<String>),
    /// The whole cluster: a `ClusterRole` and a `ClusterRoleBinding`, named after the namespace and the account.
    Cluster,
}

/// Credentials of a ServiceAccount.
#[derive(Debug, Clone)]
pub struct Access {
    /// Its token.
    pub token: String,
    /// A kubeconfig with the token.
    pub kubeconfig: PathBuf,
}

impl Access {
    /// Creates a ServiceAccount, grants it `rules` in `scope`, and requests a token.
    ///
    /// May be called again for the same account with another scope. An existing role is left unchanged.
    pub async fn grant(
        cluster: &impl AsRef<Admin>,
        namespace: &str,
        account: &str,
        scope: &Scope,
        rules: &[PolicyRule],
    ) -> Result<Self> {
        let client = cluster.as_ref().client().await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
        ensure(&accounts, &json!({ "metadata": { "name": account } })).await?;
        let subjects = json!([{ "kind": "ServiceAccount", "name": account, "namespace": namespace }]);
        match scope {
            Scope::Namespaces(more) => {
                let name = account;
                let mut all = more.clone();
                if !all.iter().any(|one| one == namespace) {
                    all.push(namespace.to_owned());
                }
                for one in &all {
                    let role = json!({ "metadata": { "name": name }, "rules": rules });
                    ensure::<Role>(&Api::namespaced(client.clone(), one), &role).await?;
                    let binding = binding(name, "Role", &subjects);
                    ensure::<RoleBinding>(&Api::namespaced(client.clone(), one), &binding).await?;
                }
            }
            Scope::Cluster => {
                let name = format!("{namespace}:{account}");
                let role = json!({ "metadata": { "name": name }, "rules": rules });
                ensure::<ClusterRole>(&Api::all(client.clone()), &role).await?;
                let binding = binding(&name, "ClusterRole", &subjects);
                ensure::<ClusterRoleBinding>(&Api::all(client.clone()), &binding).await?;
            }
        }
        Self::token_of(cluster, namespace, account).await
    }

    /// Grants an account more rules in its own namespace, by another Role.
    pub async fn grant_more(
        cluster: &impl AsRef<Admin>,
        namespace: &str,
        account: &str,
        role: &str,
        rules: &[PolicyRule],
    ) -> Result<()> {
        Self::grant_in(cluster, namespace, (namespace, account), role, rules).await
    }

    /// Grants an account of another namespace rules in this one, by a Role.
    pub async fn grant_in(
        cluster: &impl AsRef<Admin>,
        namespace: &str,
        (home, account): (&str, &str),
        role: &str,
        rules: &[PolicyRule],
    ) -> Result<()> {
        let client = cluster.as_ref().client().await?;
        let subjects = json!([{ "kind": "ServiceAccount", "name": account, "namespace": home }]);
        let object = json!({ "metadata": { "name": role }, "rules": rules });
        ensure::<Role>(&Api::namespaced(client.clone(), namespace), &object).await?;
        ensure::<RoleBinding>(&Api::namespaced(client, namespace), &binding(role, "Role", &subjects)).await
    }

    /// Requests a token for an account and writes a kubeconfig with it.
    pub async fn token_of(cluster: &impl AsRef<Admin>, namespace: &str, account: &str) -> Result<Self> {
        let accounts: Api<ServiceAccount> = Api::namespaced(cluster.as_ref().client().await?, namespace);
        let request: TokenRequest =
            serde_json::from_value(json!({ "spec": { "audiences": [], "expirationSeconds": LIFETIME_SECONDS } }))?;
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await?;
        let token = answer.status.context("a TokenRequest is answered with a token")?.token;
        let kubeconfig = cluster.as_ref().kubeconfig_for_token(&format!("{namespace}-{account}"), &token)?;
        Ok(Self { token, kubeconfig })
    }
}

/// Builds a rule: verbs on resources of one API group (`""` for the core group).
pub fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let texts = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(texts(resources)),
        verbs: texts(verbs),
        ..PolicyRule::default()
    }
}

fn binding(name: &str, role_kind: &str, subjects: &Value) -> Value {
    json!({
        "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": name },
        "subjects": subjects,
    })
}

/// Creates an object unless one with its name exists.
async fn ensure<K>(api: &Api<K>, object: &Value) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    let object: K = serde_json::from_value(object.clone())?;
    match api.create(&PostParams::default(), &object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}
