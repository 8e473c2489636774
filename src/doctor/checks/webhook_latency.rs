//! The webhook answers quickly.

use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;

use super::{
    webhook_call::{labels, may_create},
    webhook_configuration::{for_pods, read},
};
use crate::doctor::{
    Context,
    access::Access,
    check::{Check, Group, Problem, Severity, Verdict},
    probe_pod,
    selector::Labels,
};

/// Number of measured pairs. The first call may need a new connection.
const PAIRS: usize = 5;
/// Minimum latency that counts as slow. The webhook normally answers within milliseconds.
const SLOW: Duration = Duration::from_millis(250);

pub(super) const CHECK: Check = Check {
    id: "webhook-latency",
    group: Group::Webhook,
    description: "The webhook answers quickly",
    expected: "a dry run of a pod with an agent token takes less than 250 ms longer than one without",
    severity: Severity::Warning,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let configuration = read(context).await?;
    let labels = labels(context, for_pods(&configuration)?)?;
    let create = usable(context, &labels).await?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        without.push(measured(context, &create, &labels, false).await?);
        with.push(measured(context, &create, &labels, true).await?);
    }
    let latency = median(&mut with).saturating_sub(median(&mut without));
    let found = format!("{} ms (median of {PAIRS})", latency.as_millis());
    if latency < SLOW {
        return Ok(found);
    }
    Err(Problem::unmet(
        found,
        "check the program's CPU limit and node, and what is between the control plane and the pod",
    ))
}

/// The request to create pods in the first namespace that admits one.
async fn usable(context: &Context, labels: &Labels) -> Result<Access, Problem> {
    let mut reason = Problem::skipped("the webhook is never called for kube-system");
    for namespace in context.sampled_namespaces() {
        let create = may_create(context, namespace).await?;
        match measured(context, &create, labels, true).await {
            Ok(_) => return Ok(create),
            Err(problem) => reason = problem,
        }
    }
    Err(reason)
}

async fn measured(context: &Context, create: &Access, labels: &Labels, with_token: bool) -> Result<Duration, Problem> {
    let pod = probe_pod::pod(labels, with_token);
    let started = Instant::now();
    let created = context.api.dry_run(create, &pod).await;
    let took = started.elapsed();
    match created {
        Ok(pod) if probe_pod::is_annotated(&pod) == with_token => Ok(took),
        Ok(_) | Err(_) => Err(Problem::skipped("the check webhook-call did not pass")),
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
