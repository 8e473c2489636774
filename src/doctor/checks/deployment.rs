//! The Deployment's pods are ready.

use futures::FutureExt;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};

use crate::doctor::{
    Context,
    check::{Check, Group, Problem, Severity, Verdict},
};

pub(super) const CHECK: Check = Check {
    id: "deployment",
    group: Group::Program,
    description: "The Deployment is rolled out",
    expected: "all replicas are of the current version and ready",
    severity: Severity::Failure,
    fatal: false,
    retry: true,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let verdict = judge(&context.deployment().await?);
    match (verdict, context.unread.is_empty()) {
        (Ok(found), false) => Ok(format!("{found}. Not read from here: {}", context.unread.join(", "))),
        (verdict, _) => verdict,
    }
}

fn judge(deployment: &Deployment) -> Verdict {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let empty = DeploymentStatus::default();
    let status = deployment.status.as_ref().unwrap_or(&empty);
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let action = format!("look at `kubectl describe` of its pods, and at /readyz?verbose of those that run ({name})");
    let failing = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True");
    if let Some(condition) = failing {
        let message = condition.message.clone().unwrap_or_default();
        return Err(Problem::unmet(format!("no pod can be created: {message}"), action));
    }
    if wanted == 0 {
        return Err(Problem::unmet("it is scaled to 0 replicas", "scale it up, or set `replicas` in the chart"));
    }
    let is_observed = status.observed_generation >= deployment.metadata.generation;
    let updated = status.updated_replicas.unwrap_or_default();
    let available = status.available_replicas.unwrap_or_default();
    if is_observed && updated >= wanted && available >= wanted {
        return Ok(format!("{available} of {wanted} replicas are available"));
    }
    let found = format!("{available} of {wanted} replicas are available, {updated} of the current version");
    Err(Problem::unmet(found, action))
}
