//! Reasons why a kubeconfig cannot be used.

use std::fmt;

use kube::config::{Kubeconfig, KubeconfigError};

/// A kubeconfig cannot be used. No message quotes its lines, which hold credentials.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigFlaw {
    /// It has no current context, and none was chosen.
    #[error("it has no current context; {0}")]
    NoCurrentContext(Contexts),
    /// It lacks the context.
    #[error("it has no context {0}; {1}")]
    NoContext(String, Contexts),
    /// The context names a cluster or a user that the kubeconfig lacks.
    #[error("its context {context} names the {kind} {name}, which it does not have")]
    Dangling {
        /// Name of the context.
        context: String,
        /// `cluster` or `user`.
        kind: &'static str,
        /// Name of the missing cluster or user.
        name: String,
    },
    /// The address of the API server is not a URL.
    #[error("the server of its cluster {cluster} is {server:?}; a URL such as https://HOST:6443 is accepted")]
    Server {
        /// Name of the cluster.
        cluster: String,
        /// The value.
        server: String,
    },
    /// Anything else.
    #[error("{}", without_contents(.0))]
    Other(#[from] KubeconfigError),
}

/// The names of a kubeconfig's contexts.
#[derive(Debug)]
pub struct Contexts(Vec<String>);

impl fmt::Display for Contexts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            [] => formatter.write_str("there are no contexts in it"),
            names => write!(formatter, "its contexts are {}", names.join(", ")),
        }
    }
}

/// The error without the lines that the parser quotes.
fn without_contents(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(error, path) => format!("{} cannot be read ({error})", path.display()),
        KubeconfigError::Parse(error) => {
            let place = error.location().map(|at| format!(" (line {}, column {})", at.line(), at.column()));
            format!("it is not valid YAML of a kubeconfig{}", place.unwrap_or_default())
        }
        other => other.to_string(),
    }
}

/// Checks for flaws that kube reports without the names that exist, or not at all: kubectl refuses a context if its
/// user does not exist, kube sends requests without credentials.
pub(super) fn check(kubeconfig: &Kubeconfig) -> Result<(), KubeconfigFlaw> {
    let contexts = || Contexts(kubeconfig.contexts.iter().map(|context| context.name.clone()).collect());
    let Some(name) = kubeconfig.current_context.as_ref().filter(|name| !name.is_empty()) else {
        return Err(KubeconfigFlaw::NoCurrentContext(contexts()));
    };
    let named = kubeconfig.contexts.iter().find(|context| context.name == *name);
    let Some(context) = named.and_then(|context| context.context.as_ref()) else {
        return Err(KubeconfigFlaw::NoContext(name.clone(), contexts()));
    };
    let dangling =
        |kind, missing: &str| Err(KubeconfigFlaw::Dangling { context: name.clone(), kind, name: missing.to_owned() });
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster);
    let Some(cluster) = cluster.and_then(|cluster| cluster.cluster.as_ref()) else {
        return dangling("cluster", &context.cluster);
    };
    if let Some(user) = context.user.as_ref().filter(|user| !user.is_empty())
        && !kubeconfig.auth_infos.iter().any(|known| known.name == *user)
    {
        return dangling("user", user);
    }
    match &cluster.server {
        Some(server) if !server.starts_with("https://") && !server.starts_with("http://") => {
            Err(KubeconfigFlaw::Server { cluster: context.cluster.clone(), server: server.clone() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(changes: &Value) -> Result<(), String> {
        let mut kubeconfig = json!({
            "current-context": "a",
            "contexts": [{ "name": "a", "context": { "cluster": "c", "user": "u" } }, { "name": "b" }],
            "clusters": [{ "name": "c", "cluster": { "server": "https://127.0.0.1:6443" } }],
            "users": [{ "name": "u", "user": {} }],
        });
        for (key, value) in changes.as_object().unwrap() {
            kubeconfig[key] = value.clone();
        }
        check(&serde_json::from_value(kubeconfig).unwrap()).map_err(|flaw| flaw.to_string())
    }

    #[test]
    fn a_missing_part_of_the_context_is_named() {
        assert_eq!(found(&json!({})), Ok(()));
        let context = |cluster: &str, user: &str| json!({ "contexts": [{ "name": "a", "context": { "cluster": cluster, "user": user } }] });
        assert_eq!(found(&context("c", "")), Ok(()), "without a user requests are anonymous");
        for (changes, expected) in [
            (json!({ "current-context": "z" }), "it has no context z; its contexts are a, b"),
            (json!({ "current-context": "" }), "it has no current context; its contexts are a, b"),
            (
                json!({ "current-context": null, "contexts": [] }),
                "it has no current context; there are no contexts in it",
            ),
            (context("x", "u"), "its context a names the cluster x, which it does not have"),
            (context("c", "x"), "its context a names the user x, which it does not have"),
            (
                json!({ "clusters": [{ "name": "c", "cluster": { "server": "127.0.0.1:6443" } }] }),
                "the server of its cluster c is \"127.0.0.1:6443\"; a URL such as https://HOST:6443 is accepted",
            ),
        ] {
            assert_eq!(found(&changes), Err(expected.to_owned()));
        }
    }
}
