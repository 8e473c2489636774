//! Names the permission that is missing.

use std::fmt::Write;

use futures::future::join_all;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::{Api, Client, api::PostParams};
use logstream_core::resource::Resource;

use super::Options;
use crate::{
    config::ClusterAccess,
    watch::{Scope, Scopes},
};

/// Verbs needed to read a scope.
const VERBS: [&str; 2] = ["list", "watch"];

/// Lists the verbs that are missing to read these scopes, each with a command that checks it; or states that the API
/// server takes this for an anonymous user, with the flaw of the credentials if one is known.
pub(super) async fn missing(client: &Client, options: &Options, scopes: &Scopes, flaw: Option<&str>) -> String {
    let needed = scopes.iter().map(|(_, scope)| scope).filter(|scope| !scope.resource.is_optional());
    let asked: Vec<_> = needed.flat_map(|scope| VERBS.into_iter().map(move |verb| (scope, verb))).collect();
    let allowed = join_all(asked.iter().map(|(scope, verb)| is_allowed(client, scope, verb))).await;
    if allowed.contains(&Answer::NotToAnonymous) {
        let flaw = flaw.map(|flaw| format!(": {flaw}")).unwrap_or_default();
        return format!(
            "\nThe API server takes this for an anonymous user, as it accepts none of the credentials{flaw}."
        );
    }
    let mut text = String::new();
    for ((scope, verb), _) in asked.into_iter().zip(allowed).filter(|(_, allowed)| *allowed == Answer::Denied) {
        let (resource, flags) = (name(scope.resource), flags(options, scope));
        let _ = write!(text, "\n  missing: {verb} {}", scope.words());
        let _ = write!(text, "\n    check: kubectl auth can-i {verb} {resource}{flags}");
    }
    text + "\nThe ClusterRole view grants all that explain reads."
}

/// The API server's answer to the question whether a request is allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    Allowed,
    Denied,
    /// Every authenticated user may ask.
    NotToAnonymous,
    Unknown,
}

async fn is_allowed(client: &Client, scope: &Scope, verb: &str) -> Answer {
    let attributes = ResourceAttributes {
        group: Some(scope.resource.group().to_owned()),
        namespace: scope.namespace.as_deref().map(str::to_owned),
        resource: Some(scope.resource.plural().to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() },
        ..Default::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    match api.create(&PostParams::default(), &review).await {
        Ok(review) if review.status.as_ref().is_some_and(|status| status.allowed) => Answer::Allowed,
        Ok(_) => Answer::Denied,
        Err(kube::Error::Api(status)) if status.code == 403 => Answer::NotToAnonymous,
        Err(_) => Answer::Unknown,
    }
}

/// The resource in kubectl's syntax, with its group.
fn name(resource: Resource) -> String {
    match (resource.plural(), resource.group()) {
        (plural, "") => plural.to_owned(),
        (plural, group) => format!("{plural}.{group}"),
    }
}

/// Flags that make kubectl use the same cluster and namespace.
fn flags(options: &Options, scope: &Scope) -> String {
    let mut flags = match &scope.namespace {
        Some(namespace) => format!(" --namespace {namespace}"),
        None => " --all-namespaces".to_owned(),
    };
    if let ClusterAccess::File(path) = &options.cluster {
        let _ = write!(flags, " --kubeconfig {}", path.display());
    }
    if let Some(context) = &options.context {
        let _ = write!(flags, " --context {context}");
    }
    flags
}

#[cfg(test)]
mod tests {
    use logstream_core::resource::Kind;

    use super::*;

    #[test]
    fn resources_are_named_with_their_group() {
        assert_eq!(name(Resource::Objects(Kind::Pod)), "pods");
        assert_eq!(name(Resource::Objects(Kind::ReplicaSet)), "replicasets.apps");
        assert_eq!(name(Resource::Objects(Kind::Job)), "jobs.batch");
    }
}
