//! The webhook's selectors select the watched namespaces and the workspaces in them.

use futures::FutureExt;
use k8s_openapi::api::{admissionregistration::v1::MutatingWebhook, core::v1::Namespace};

use super::webhook_configuration::{for_pods, read};
use crate::{
    config::Namespaces,
    doctor::{
        Context,
        access::Access,
        check::{Check, Group, Problem, Severity, Verdict},
        context::EXCLUDED,
        selector,
        words::counted,
    },
};

/// Maximum number of names that are shown.
const SHOWN: usize = 10;

pub(super) const CHECK: Check = Check {
    id: "webhook-selectors",
    group: Group::Webhook,
    description: "The webhook is called for the watched namespaces and workspaces",
    expected: "namespaceSelector selects each watched namespace except kube-system, objectSelector each workspace pod",
    severity: Severity::Failure,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let configuration = read(context).await?;
    let webhook = for_pods(&configuration)?;
    let namespaces = watched(context).await?;
    let not_selected = not_selected(webhook, &namespaces);
    if !not_selected.is_empty() {
        return Err(Problem::unmet(
            format!("namespaceSelector does not select {}", some(&not_selected)),
            "run `helm upgrade`; if webhook.namespaceSelector is set, label the namespace or widen the selector",
        ));
    }
    let pods = &context.workspaces().await?.pods;
    let selects = |labels| selector::matches(webhook.object_selector.as_ref(), labels);
    let missed: Vec<_> =
        pods.iter().filter(|pod| !selects(&pod.labels)).map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect();
    if missed.is_empty() {
        return Ok(format!("{} and {}", counted(namespaces.len(), "namespace"), counted(pods.len(), "workspace pod")));
    }
    Err(Problem::unmet(
        format!("objectSelector does not select {}", some(&missed)),
        "compare webhook.objectSelector and labelSelector of the chart with the labels of these pods",
    ))
}

/// The watched namespaces with their labels.
async fn watched(context: &Context) -> Result<Vec<Namespace>, Problem> {
    let Namespaces::Listed(names) = &context.config.settings.namespaces else {
        return Ok(context.api.list(&Access::new("list", "", "namespaces"), "").await?);
    };
    let mut namespaces = Vec::new();
    for name in names {
        namespaces.extend(context.api.find(&Access::new("get", "", "namespaces").named(name)).await?);
    }
    Ok(namespaces)
}

fn not_selected(webhook: &MutatingWebhook, namespaces: &[Namespace]) -> Vec<String> {
    let is_selected = |namespace: &&Namespace| {
        let labels = namespace.metadata.labels.clone().unwrap_or_default();
        selector::matches(webhook.namespace_selector.as_ref(), &labels)
    };
    let names = namespaces.iter().filter(|namespace| !is_selected(namespace)).map(|one| one.metadata.name.clone());
    names.map(Option::unwrap_or_default).filter(|name| name != EXCLUDED).collect()
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
