//! The Deployment's pods are ready.

use futures::FutureExt;

use crate::doctor::{
    Context,
    check::{Check, Group, Problem, Severity, Verdict},
    deployment::Deployment,
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
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let status = &deployment.status;
    let name = &deployment.metadata.name;
    let action = format!("look at `kubectl describe` of its pods, and at /readyz?verbose of those that run ({name})");
    let failing =
        status.conditions.iter().find(|condition| condition.r#type == "ReplicaFailure" && condition.status == "True");
    if let Some(condition) = failing {
        return Err(Problem::unmet(format!("no pod can be created: {}", condition.message), action));
    }
    if wanted == 0 {
        return Err(Problem::unmet("it is scaled to 0 replicas", "scale it up, or set `replicas` in the chart"));
    }
    let is_observed = status.observed_generation >= deployment.metadata.generation;
    let (updated, available) = (status.updated_replicas, status.available_replicas);
    if is_observed && updated >= wanted && available >= wanted {
        return Ok(format!("{available} of {wanted} replicas are available"));
    }
    let found = format!("{available} of {wanted} replicas are available, {updated} of the current version");
    Err(Problem::unmet(found, action))
}
