//! The watched namespaces exist.

use futures::FutureExt;
use k8s_openapi::api::core::v1::Namespace;

use crate::{
    config::Namespaces,
    doctor::{
        Context,
        access::Access,
        check::{Check, Group, Problem, Severity, Verdict},
    },
};

pub(super) const CHECK: Check = Check {
    id: "namespaces",
    group: Group::Kubernetes,
    description: "The watched namespaces exist",
    expected: "each namespace of --namespaces exists and is not being deleted",
    severity: Severity::Failure,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let Namespaces::Listed(names) = &context.config.settings.namespaces else {
        return Ok("all namespaces are watched".to_owned());
    };
    let mut problems = Vec::new();
    for name in names {
        let get = Access::new("get", "", "namespaces").named(name);
        match context.api.find::<Namespace>(&get).await? {
            None => problems.push(format!("{name} does not exist")),
            Some(namespace) if namespace.metadata.deletion_timestamp.is_some() => {
                problems.push(format!("{name} is being deleted"));
            }
            Some(_) => {}
        }
    }
    if problems.is_empty() {
        return Ok(names.join(", "));
    }
    Err(Problem::unmet(
        problems.join(", "),
        "create the namespace, or remove it from --namespaces (`namespaces` in the chart)",
    ))
}
