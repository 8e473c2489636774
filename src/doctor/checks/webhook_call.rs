//! The API server reaches the webhook.

use futures::FutureExt;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;

use super::webhook_configuration::{for_pods, read};
use crate::doctor::{
    Context,
    access::Access,
    api::ApiError,
    check::{Check, Group, Problem, Severity, Verdict},
    probe_pod,
    selector::{self, Labels},
};

pub(super) const CHECK: Check = Check {
    id: "webhook-call",
    group: Group::Webhook,
    description: "The API server calls the webhook",
    expected: "a pod with an agent token, created by a server-side dry run, comes back with annotations of logstream.coder.com",
    severity: Severity::Failure,
    fatal: false,
    retry: true,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let configuration = read(context).await?;
    let labels = labels(context, for_pods(&configuration)?)?;
    let (mut called, mut refused) = (Vec::new(), Vec::new());
    for namespace in context.sampled_namespaces() {
        let create = may_create(context, namespace).await?;
        match context.api.dry_run(&create, &probe_pod::pod(&labels, true)).await {
            Ok(pod) if probe_pod::is_annotated(&pod) => called.push(namespace),
            Ok(_) => return Err(not_called(namespace)),
            Err(ApiError::Refused { message, .. }) => refused.push((namespace, message)),
            Err(ApiError::NotFound(_)) => return Err(Problem::skipped(format!("{namespace} does not exist"))),
            Err(error) => return Err(error.into()),
        }
    }
    judge(&called, &refused)
}

/// Judges the dry runs. `called` are the namespaces in which the pod came back with annotations, `refused` those that
/// admit no pod, with the reason.
fn judge(called: &[&str], refused: &[(&str, String)]) -> Verdict {
    match (called, refused) {
        ([], []) => Err(Problem::skipped("only kube-system is watched, for which the webhook is never called")),
        ([], [(namespace, message), ..]) => Err(Problem::doubtful(
            format!("{namespace} refuses the pod: {message}"),
            "make room in the quota, or exempt pods named logstream-doctor- from the policy; or look at the annotations of a \
             workspace's pod",
        )),
        (_, []) => Ok(format!("in {}", called.join(", "))),
        _ => {
            let names: Vec<_> = refused.iter().map(|(namespace, _)| *namespace).collect();
            Ok(format!("in {}; not verified in {}, which admits no more pods", called.join(", "), names.join(", ")))
        }
    }
}

fn not_called(namespace: &str) -> Problem {
    Problem::unmet(
        format!(
            "the pod came back from {namespace} without an annotation: the webhook was not called, or the call failed"
        ),
        "see the checks above and below. If they pass, the control plane cannot reach the pod's port: open it in the \
         firewall (GKE), or use webhook.hostNetwork (EKS with an overlay network)",
    )
}

/// Labels of a pod for which the webhook is called and answers, or the reason why there is no such pod.
pub(super) fn labels(context: &Context, webhook: &MutatingWebhook) -> Result<Labels, Problem> {
    if context.config.settings.field_selector.is_some() {
        return Err(Problem::skipped("with --field-selector the webhook does not annotate pods"));
    }
    let labels = selector::example(webhook.object_selector.as_ref());
    let labels = labels.ok_or_else(|| {
        Problem::unmet("objectSelector selects no pod at all", "compare webhook.objectSelector with labelSelector")
    })?;
    match &context.config.settings.label_selector {
        Some(selector) if !selector.matches(&labels) => {
            Err(Problem::skipped("no example of a pod can be made for --label-selector"))
        }
        _ => Ok(labels),
    }
}

/// The request to create pods in a namespace, if this account may make it.
pub(super) async fn may_create(context: &Context, namespace: &str) -> Result<Access, Problem> {
    let create = Access::new("create", "", "pods").within(namespace);
    if context.api.may(&create).await? { Ok(create) } else { Err(ApiError::Forbidden(create).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_admits_no_pod_matters_only_if_no_other_does() {
        let full = [("full", "exceeded quota".to_owned())];
        assert_eq!(judge(&["a", "b"], &[]).unwrap(), "in a, b");
        assert_eq!(judge(&["a"], &full).unwrap(), "in a; not verified in full, which admits no more pods");
        let Err(Problem::Doubtful(finding)) = judge(&[], &full) else { panic!("it passed") };
        assert_eq!(finding.found, "full refuses the pod: exceeded quota");
        assert!(matches!(judge(&[], &[]), Err(Problem::Skipped(_))));
    }
}
