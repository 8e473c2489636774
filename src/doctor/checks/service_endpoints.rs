//! The webhook's Service has ready endpoints.

use futures::FutureExt;
use k8s_openapi::api::{
    admissionregistration::v1::ServiceReference,
    core::v1::Service,
    discovery::v1::{Endpoint, EndpointSlice},
};

use super::webhook_configuration::{for_pods, read};
use crate::doctor::{
    Context,
    access::Access,
    api::encoded,
    check::{Check, Group, Problem, Severity, Verdict},
};

/// The port that the API server calls if the configuration names none.
const DEFAULT_PORT: i32 = 443;

pub(super) const CHECK: Check = Check {
    id: "service-endpoints",
    group: Group::Network,
    description: "The webhook's Service has ready endpoints",
    expected: "the Service that the configuration names exists, has the port, and at least one ready endpoint",
    severity: Severity::Failure,
    fatal: false,
    retry: true,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let configuration = read(context).await?;
    let client = &for_pods(&configuration)?.client_config;
    let Some(service) = &client.service else {
        let url = client.url.as_deref().unwrap_or_default();
        return Err(Problem::skipped(format!("the webhook is called by its URL {url}, not by a Service")));
    };
    port_name(context, service).await?;
    judge(&format!("{}/{}", service.namespace, service.name), &slices(context, service).await?)
}

fn judge(name: &str, slices: &[EndpointSlice]) -> Verdict {
    let endpoints = || slices.iter().flat_map(|slice| &slice.endpoints);
    let (ready, all) = (endpoints().filter(|endpoint| is_ready(endpoint)).count(), endpoints().count());
    if ready > 0 {
        return Ok(format!("{name}: {ready} of {all} ready"));
    }
    let found = if all == 0 {
        format!("{name} selects no pod")
    } else {
        format!("none of the {all} endpoints of {name} is ready")
    };
    Err(Problem::unmet(found, "see the check deployment, and /readyz?verbose of the pods"))
}

/// The slices of a Service.
pub(super) async fn slices(context: &Context, service: &ServiceReference) -> Result<Vec<EndpointSlice>, Problem> {
    let list = Access::new("list", "discovery.k8s.io", "endpointslices").within(&*service.namespace);
    let query = encoded(&[("labelSelector", &format!("kubernetes.io/service-name={}", service.name))]);
    Ok(context.api.list(&list, &query).await?)
}

/// The name of the Service's port that the API server calls.
pub(super) async fn port_name(context: &Context, service: &ServiceReference) -> Result<Option<String>, Problem> {
    let get = Access::new("get", "", "services").within(&*service.namespace).named(&service.name);
    let name = format!("{}/{}", service.namespace, service.name);
    let restore = "run `helm upgrade`, which restores it";
    let Some(found) = context.api.find::<Service>(&get).await? else {
        return Err(Problem::unmet(format!("the Service {name} does not exist"), restore));
    };
    let wanted = service.port.unwrap_or(DEFAULT_PORT);
    let ports = found.spec.and_then(|spec| spec.ports).unwrap_or_default();
    let port = ports.into_iter().find(|port| port.port == wanted);
    port.map(|port| port.name)
        .ok_or_else(|| Problem::unmet(format!("the Service {name} has no port {wanted}"), restore))
}

/// True if the endpoint is ready. Without the condition it counts as ready.
pub(super) fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn endpoints_of_which_none_is_ready_fail() {
        let judged = |ready: &[bool]| {
            let endpoint = |ready: &bool| json!({ "addresses": ["10.0.0.1"], "conditions": { "ready": ready } });
            let endpoints: Vec<_> = ready.iter().map(endpoint).collect();
            let slice = json!({ "metadata": {}, "addressType": "IPv4", "endpoints": endpoints });
            judge("coder/logs", &[serde_json::from_value(slice).unwrap()])
        };
        assert_eq!(judged(&[false, true]).unwrap(), "coder/logs: 1 of 2 ready");
        let Err(Problem::Unmet(unready)) = judged(&[false, false]) else { panic!("it passed") };
        assert_eq!(unready.found, "none of the 2 endpoints of coder/logs is ready");
        let Err(Problem::Unmet(none)) = judged(&[]) else { panic!("it passed") };
        assert_eq!(none.found, "coder/logs selects no pod");
    }
}
