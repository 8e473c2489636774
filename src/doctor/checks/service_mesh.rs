//! No service mesh is likely to be in the way.

use futures::FutureExt;
use k8s_openapi::api::core::v1::Namespace;

use crate::doctor::{
    Context,
    access::Access,
    check::{Check, Group, Problem, Severity, Verdict},
    selector::Labels,
};

const ACTION: &str = "keep the pod out of the mesh, or exempt the webhook's port: docs/install/meshes.md";

pub(super) const CHECK: Check = Check {
    id: "service-mesh",
    group: Group::Network,
    description: "No service mesh is likely to be in the way",
    expected: "the program's pods are not in a mesh, or the webhook's port is exempt from mTLS",
    severity: Severity::Warning,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let Some(webhook) = &context.config.webhook else {
        return Err(Problem::skipped("the webhook is off (--webhook-addr is empty)"));
    };
    let metadata = context.deployment().await?.spec.template.metadata;
    let get = Access::new("get", "", "namespaces").named(context.home().unwrap_or_default());
    let namespace = context.api.get::<Namespace>(&get).await?.metadata;
    let pod = Marks { labels: metadata.labels, annotations: metadata.annotations };
    let namespace =
        Marks { labels: namespace.labels.unwrap_or_default(), annotations: namespace.annotations.unwrap_or_default() };
    let port = webhook.address.port().to_string();
    match mesh(&namespace, &pod, &port) {
        None => Ok("the program's pods are in none, or the port is exempt".to_owned()),
        Some(mesh) => Err(Problem::unmet(
            format!("the pods are in {mesh}, which may reject the API server's calls at port {port}"),
            ACTION,
        )),
    }
}

/// Labels and annotations of a namespace or of a pod.
#[derive(Default)]
struct Marks {
    labels: Labels,
    annotations: Labels,
}

impl Marks {
    fn has(&self, key: &str, value: &str) -> bool {
        [&self.labels, &self.annotations].iter().any(|marks| marks.get(key).is_some_and(|one| one == value))
    }

    /// True if the annotation is a list that contains `item`.
    fn lists(&self, key: &str, item: &str) -> bool {
        self.annotations.get(key).is_some_and(|list| list.split(',').any(|one| one.trim() == item || one.trim() == "*"))
    }
}

/// The mesh that injects its proxy into the pod without exempting the port.
fn mesh(namespace: &Marks, pod: &Marks, port: &str) -> Option<&'static str> {
    let by_sidecar = namespace.has("istio-injection", "enabled") || namespace.labels.contains_key("istio.io/rev");
    let sidecar =
        (by_sidecar && !pod.has("sidecar.istio.io/inject", "false")) || pod.has("sidecar.istio.io/inject", "true");
    if sidecar && !pod.lists("traffic.sidecar.istio.io/excludeInboundPorts", port) {
        return Some("Istio (sidecar)");
    }
    let ambient = |marks: &Marks| marks.has("istio.io/dataplane-mode", "ambient");
    if (ambient(namespace) && !pod.has("istio.io/dataplane-mode", "none")) || ambient(pod) {
        return Some("Istio (ambient)");
    }
    let linkerd = |marks: &Marks| ["enabled", "ingress"].iter().any(|value| marks.has("linkerd.io/inject", value));
    let is_injected = (linkerd(namespace) && !pod.has("linkerd.io/inject", "disabled")) || linkerd(pod);
    (is_injected && !pod.lists("config.linkerd.io/skip-inbound-ports", port)).then_some("Linkerd")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(pairs: &[(&str, &str)]) -> Marks {
        let all: Labels = pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Marks { labels: all.clone(), annotations: all }
    }

    fn found(namespace: &[(&str, &str)], pod: &[(&str, &str)]) -> Option<&'static str> {
        mesh(&marks(namespace), &marks(pod), "10250")
    }

    #[test]
    fn injection_into_the_namespace_is_found_unless_the_pod_is_excluded() {
        for (namespace, excluded, name) in [
            (("istio-injection", "enabled"), ("sidecar.istio.io/inject", "false"), "Istio (sidecar)"),
            (("istio.io/rev", "stable"), ("sidecar.istio.io/inject", "false"), "Istio (sidecar)"),
            (("istio.io/dataplane-mode", "ambient"), ("istio.io/dataplane-mode", "none"), "Istio (ambient)"),
            (("linkerd.io/inject", "enabled"), ("linkerd.io/inject", "disabled"), "Linkerd"),
        ] {
            assert_eq!(found(&[namespace], &[]), Some(name));
            assert_eq!(found(&[namespace], &[excluded]), None);
        }
        assert_eq!(found(&[], &[]), None);
    }

    #[test]
    fn an_exempt_port_is_not_in_the_way() {
        let istio = [("istio-injection", "enabled")];
        assert_eq!(found(&istio, &[("traffic.sidecar.istio.io/excludeInboundPorts", "8081, 10250")]), None);
        assert_eq!(found(&istio, &[("traffic.sidecar.istio.io/excludeInboundPorts", "8081")]), Some("Istio (sidecar)"));
        let linkerd = [("linkerd.io/inject", "enabled")];
        assert_eq!(found(&linkerd, &[("config.linkerd.io/skip-inbound-ports", "10250")]), None);
    }
}
