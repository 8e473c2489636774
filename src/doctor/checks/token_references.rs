//! Tokens in Secrets and ConfigMaps can be read.

use std::collections::BTreeSet;

use futures::FutureExt;
use logstream_core::extract::Holder;

use crate::doctor::{
    Context,
    access::Access,
    check::{Check, Group, Problem, Severity, Verdict},
    words::counted,
    workspaces::WorkspacePod,
};

/// Maximum number of objects that are verified.
const MAX_OBJECTS: usize = 200;
/// Maximum number of objects that are shown.
const SHOWN: usize = 10;

pub(super) const CHECK: Check = Check {
    id: "token-references",
    group: Group::Workspaces,
    description: "Tokens in Secrets and ConfigMaps can be read",
    expected: "the program may read each Secret and ConfigMap that a workspace pod takes its agent's token from",
    severity: Severity::Failure,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let objects = objects(&context.workspaces().await?.pods);
    if objects.is_empty() {
        return Ok("no workspace pod takes its token from a Secret or ConfigMap".to_owned());
    }
    let names = |objects: &[&Access]| {
        let name = |get: &&Access| {
            format!(
                "{}/{} in {}",
                get.resource,
                get.name.as_deref().unwrap_or_default(),
                get.namespace.as_deref().unwrap_or_default()
            )
        };
        objects.iter().take(SHOWN).map(name).collect::<Vec<_>>().join(", ")
    };
    let count = counted(objects.len(), "object");
    if !context.config.settings.resolve_references {
        let all: Vec<_> = objects.iter().collect();
        return Err(Problem::unmet(
            format!("{count} with tokens cannot be read (--resolve-references=false): {}", names(&all)),
            "set rbac.readSecrets to true in the chart; the workspaces that use them get no lines",
        ));
    }
    let other = context.other_user().await?;
    let mut denied = Vec::new();
    for get in objects.iter().take(MAX_OBJECTS) {
        if !context.program_may(get, other.as_ref()).await? {
            denied.push(get);
        }
    }
    if denied.is_empty() {
        return Ok(format!("{count} may be read"));
    }
    Err(Problem::unmet(
        format!("{} of {count} may not be read: {}", denied.len(), names(&denied)),
        "set rbac.readSecrets to true in the chart, or grant `get` on them in your own role",
    ))
}

/// The requests that read the objects.
fn objects(pods: &[WorkspacePod]) -> BTreeSet<Access> {
    let of_pod = |pod: &WorkspacePod| {
        let namespace = pod.namespace.clone();
        let resource = |holder| match holder {
            Holder::Secret => "secrets",
            Holder::ConfigMap => "configmaps",
        };
        let get = move |reference: &logstream_core::extract::Reference| {
            Access::new("get", "", resource(reference.holder)).within(&*namespace).named(&reference.name)
        };
        pod.references.iter().map(get).collect::<Vec<_>>()
    };
    pods.iter().flat_map(of_pod).collect()
}
