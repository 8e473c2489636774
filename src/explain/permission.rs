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

/// What reading a scope takes.
const VERBS: [&str; 2] = ["list", "watch"];

/// The verbs that are missing to read these scopes, each with a command that checks it.
pub(super) async fn missing(client: &Client, options: &Options, scopes: &Scopes) -> String {
    let needed = scopes.iter().map(|(_, scope)| scope).filter(|scope| !scope.resource.is_optional());
    let asked: Vec<_> = needed.flat_map(|scope| VERBS.into_iter().map(move |verb| (scope, verb))).collect();
    let allowed = join_all(asked.iter().map(|(scope, verb)| is_allowed(client, scope, verb))).await;
    let mut text = String::new();
    for ((scope, verb), _) in asked.into_iter().zip(allowed).filter(|(_, allowed)| *allowed == Some(false)) {
        let (resource, flags) = (name(scope.resource), flags(options, scope));
        let _ = write!(text, "\n  missing: {verb} {}", scope.words());
        let _ = write!(text, "\n    check: kubectl auth can-i {verb} {resource}{flags}");
    }
    text + "\nThe ClusterRole view grants all that explain reads."
}

/// Asks the API server, which any authenticated user may. None if it does not answer.
async fn is_allowed(client: &Client, scope: &Scope, verb: &str) -> Option<bool> {
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
    api.create(&PostParams::default(), &review).await.ok()?.status.map(|status| status.allowed)
}

/// The resource as kubectl takes it, with its group.
fn name(resource: Resource) -> String {
    match (resource.plural(), resource.group()) {
        (plural, "") => plural.to_owned(),
        (plural, group) => format!("{plural}.{group}"),
    }
}

/// The flags that have kubectl ask the same cluster about the same namespace.
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
