//! The program's namespace admits its pod.

use futures::FutureExt;
use serde_json::json;

use crate::doctor::{
    Context,
    access::Access,
    api::ApiError,
    check::{Check, Group, Problem, Severity, Verdict},
    deployment::Template,
};

pub(super) const CHECK: Check = Check {
    id: "pod-security",
    group: Group::Program,
    description: "The program's namespace admits its pod",
    expected: "a server-side dry run of the Deployment's pod is accepted: PodSecurity, quotas, limits and policies allow it",
    severity: Severity::Failure,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let deployment = context.deployment().await?;
    let namespace = context.home().unwrap_or_default();
    let create = Access::new("create", "", "pods").within(namespace);
    if !context.api.may(&create).await? {
        return Err(ApiError::Forbidden(create).into());
    }
    let Template { metadata, spec } = deployment.spec.template;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": "logstream-doctor-", "labels": metadata.labels, "annotations": metadata.annotations,
        },
        "spec": spec,
    });
    match context.api.dry_run(&create, &pod).await {
        Ok(_) => Ok(format!("a dry run in {namespace} is accepted")),
        Err(ApiError::Refused { message, .. }) => Err(Problem::unmet(
            message,
            "change the namespace's policy (labels pod-security.kubernetes.io/…, ResourceQuota, LimitRange), or the \
             chart's securityContext, podSecurityContext, resources and webhook.hostNetwork",
        )),
        Err(error) => Err(error.into()),
    }
}
