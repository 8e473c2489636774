//! No `NetworkPolicy` is likely to be in the way.

use futures::FutureExt;
use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPort},
    apimachinery::pkg::util::intstr::IntOrString,
};

use crate::doctor::{
    Context,
    access::Access,
    check::{Check, Group, Problem, Severity, Verdict},
    selector::{self, Labels},
};

pub(super) const CHECK: Check = Check {
    id: "network-policies",
    group: Group::Network,
    description: "No NetworkPolicy is likely to be in the way",
    expected: "if policies select the program's pods, one allows the webhook's port from everywhere, and egress is not denied",
    severity: Severity::Warning,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let template = context.deployment().await?.spec.template;
    if template.pod().host_network {
        return Err(Problem::skipped("with webhook.hostNetwork no NetworkPolicy applies"));
    }
    let list = Access::new("list", "networking.k8s.io", "networkpolicies").within(context.home());
    let policies: Vec<NetworkPolicy> = context.api.list(&list, "").await?;
    let port = context.config.webhook.as_ref().map(|webhook| webhook.address.port());
    judge(&policies, &template.metadata.labels, port)
}

fn judge(policies: &[NetworkPolicy], labels: &Labels, port: Option<u16>) -> Verdict {
    let selecting: Vec<_> = policies.iter().filter(|policy| selects(policy, labels)).collect();
    if selecting.is_empty() {
        return Ok("no policy selects the program's pods".to_owned());
    }
    let names = selecting.iter().map(|policy| name(policy)).collect::<Vec<_>>().join(", ");
    let of_type = |kind: &str| selecting.iter().filter(|policy| has_type(policy, kind)).collect::<Vec<_>>();
    let ingress = of_type("Ingress");
    let mut rules = ingress.iter().filter_map(|policy| policy.spec.as_ref()?.ingress.as_ref()).flatten();
    if let Some(port) = port
        && !ingress.is_empty()
        && !rules.any(|rule| admits(rule, port))
    {
        return Err(Problem::unmet(
            format!("{names}: no rule allows port {port} from everywhere or from an ipBlock"),
            format!(
                "allow TCP port {port} without `from`, or from an ipBlock of the control plane: the API server matches no \
                 pod or namespace selector. networkPolicy.enabled of the chart does"
            ),
        ));
    }
    let egress = of_type("Egress");
    let allows_some = |policy: &&&&NetworkPolicy| {
        policy.spec.as_ref().is_some_and(|spec| spec.egress.iter().flatten().next().is_some())
    };
    if !egress.is_empty() && egress.iter().find(allows_some).is_none() {
        return Err(Problem::unmet(
            format!("{names}: all egress is denied"),
            "allow egress to the API server, Coder and DNS",
        ));
    }
    Ok(format!("{names} select the program's pods and allow the webhook's port"))
}

fn name(policy: &NetworkPolicy) -> String {
    policy.metadata.name.clone().unwrap_or_default()
}

fn selects(policy: &NetworkPolicy, labels: &Labels) -> bool {
    policy.spec.as_ref().is_some_and(|spec| selector::matches(spec.pod_selector.as_ref(), labels))
}

fn has_type(policy: &NetworkPolicy, kind: &str) -> bool {
    policy.spec.iter().flat_map(|spec| spec.policy_types.iter().flatten()).any(|one| one == kind)
}

/// True if a rule may allow connections of the control plane.
fn admits(rule: &NetworkPolicyIngressRule, port: u16) -> bool {
    let peers = rule.from.as_deref().unwrap_or_default();
    let ports = rule.ports.as_deref().unwrap_or_default();
    (peers.is_empty() || peers.iter().any(|peer| peer.ip_block.is_some()))
        && (ports.is_empty() || ports.iter().any(|one| includes(one, port)))
}

fn includes(rule: &NetworkPolicyPort, port: u16) -> bool {
    let is_tcp = rule.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
    is_tcp
        && match &rule.port {
            None => true,
            Some(IntOrString::Int(first)) => {
                let last = rule.end_port.unwrap_or(*first);
                (*first..=last).contains(&i32::from(port))
            }
            Some(IntOrString::String(name)) => name == "webhook",
        }
}
