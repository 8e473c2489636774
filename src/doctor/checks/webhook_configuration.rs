//! The webhook's configuration exists and is as the chart renders it.

use futures::FutureExt;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, MutatingWebhookConfiguration};

use crate::doctor::{
    Context,
    access::Access,
    check::{Check, Group, Problem, Severity, Verdict},
};

/// Maximum timeout in seconds. The chart's default is 2 s. A pod's creation waits for a webhook that hangs.
const MAX_TIMEOUT: i32 = 5;

pub(super) const CHECK: Check = Check {
    id: "webhook-configuration",
    group: Group::Webhook,
    description: "The MutatingWebhookConfiguration exists",
    expected: "it calls this program for created pods, ignores failures and times out within 5 s",
    severity: Severity::Failure,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let configuration = read(context).await?;
    judge(&configuration)
}

/// The webhook's configuration, or the reason why it cannot be verified.
pub(super) async fn read(context: &Context) -> Result<MutatingWebhookConfiguration, Problem> {
    let name = context.configuration()?;
    let get = Access::new("get", "admissionregistration.k8s.io", "mutatingwebhookconfigurations").named(name);
    context.api.find(&get).await?.ok_or_else(|| {
        Problem::unmet(
            format!("{name} does not exist"),
            "run `helm upgrade`, which restores it; see --webhook-config-name",
        )
    })
}

/// The webhook for pods.
pub(super) fn for_pods(configuration: &MutatingWebhookConfiguration) -> Result<&MutatingWebhook, Problem> {
    let is_for_pods = |webhook: &&MutatingWebhook| {
        webhook.rules.iter().flatten().any(|rule| {
            let has =
                |list: &Option<Vec<String>>, wanted: &str| list.iter().flatten().any(|one| one == wanted || one == "*");
            has(&rule.resources, "pods") && has(&rule.operations, "CREATE") && has(&rule.api_groups, "")
        })
    };
    configuration.webhooks.iter().flatten().find(is_for_pods).ok_or_else(|| {
        Problem::unmet("no webhook of it is called when a pod is created", "run `helm upgrade`, which restores it")
    })
}

fn judge(configuration: &MutatingWebhookConfiguration) -> Verdict {
    let name = configuration.metadata.name.as_deref().unwrap_or_default();
    let webhook = for_pods(configuration)?;
    let policy = webhook.failure_policy.as_deref().unwrap_or("Fail");
    let timeout = webhook.timeout_seconds.unwrap_or(10);
    if policy != "Ignore" {
        return Err(Problem::doubtful(
            format!("failurePolicy is {policy}: if this program is down, no workspace pod can be created"),
            "set webhook.failurePolicy to Ignore",
        ));
    }
    if timeout > MAX_TIMEOUT {
        return Err(Problem::doubtful(
            format!("timeoutSeconds is {timeout}: a webhook that hangs delays each workspace pod by that"),
            "set webhook.timeoutSeconds to 2",
        ));
    }
    Ok(format!("{name}, failurePolicy {policy}, timeout {timeout} s"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn judged(more: &Value) -> Verdict {
        let rule = json!({
            "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"],
        });
        let mut webhook = json!({
            "name": "pods.logstream.coder.com", "rules": [rule], "failurePolicy": "Ignore", "timeoutSeconds": 2,
            "admissionReviewVersions": ["v1"], "clientConfig": {}, "sideEffects": "None",
        });
        for (key, value) in more.as_object().unwrap() {
            webhook[key] = value.clone();
        }
        judge(&serde_json::from_value(json!({ "metadata": { "name": "logs" }, "webhooks": [webhook] })).unwrap())
    }

    #[test]
    fn a_webhook_as_the_chart_renders_it_passes() {
        assert_eq!(judged(&json!({})).unwrap(), "logs, failurePolicy Ignore, timeout 2 s");
    }

    #[test]
    fn a_long_timeout_and_a_policy_that_refuses_pods_are_warned_of() {
        for (more, expected) in [
            (json!({ "timeoutSeconds": 6 }), "timeoutSeconds is 6"),
            // The API server's defaults.
            (json!({ "timeoutSeconds": null }), "timeoutSeconds is 10"),
            (json!({ "failurePolicy": null }), "failurePolicy is Fail"),
        ] {
            let Err(Problem::Doubtful(finding)) = judged(&more) else { panic!("{more}") };
            assert!(finding.found.starts_with(expected), "{finding:?}");
        }
    }

    #[test]
    fn a_configuration_that_does_not_cover_created_pods_fails() {
        let rule = json!({
            "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["DELETE"],
        });
        let Err(Problem::Unmet(finding)) = judged(&json!({ "rules": [rule] })) else { panic!("it passed") };
        assert!(finding.found.contains("no webhook"), "{finding:?}");
    }
}
