//! Permissions that the program needs with its flags.

use logstream_core::{
    dependency::CLUSTER_EVENTS,
    resource::{Kind, Resource},
};

use super::access::Access;
use crate::config::{CertMode, Config, Namespaces};

/// Needed permissions.
pub(super) fn of(config: &Config) -> Vec<Access> {
    let mut needs = Vec::new();
    watch(config, &mut needs);
    own(config, &mut needs);
    certificate(config, &mut needs);
    needs
}

fn watch(config: &Config, needs: &mut Vec<Access>) {
    let namespaces = match &config.settings.namespaces {
        Namespaces::All => vec![None],
        Namespaces::Listed(names) => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    for namespace in namespaces {
        for resource in Resource::all() {
            let verbs = verbs(resource).iter();
            needs.extend(verbs.map(|verb| Access::new(verb, resource.group(), resource.plural()).within(namespace)));
        }
        if config.settings.resolve_references {
            let resources = ["configmaps", "secrets"].into_iter();
            needs.extend(resources.map(|resource| Access::new("get", "", resource).within(namespace)));
        }
    }
    let apart = |name: &String| name != CLUSTER_EVENTS;
    if let (true, Namespaces::Listed(names)) = (config.settings.node_events, &config.settings.namespaces)
        && names.iter().all(apart)
    {
        let verbs = verbs(Resource::NodeEvents).iter();
        needs.extend(verbs.map(|verb| Access::new(verb, "", "events").within(Some(CLUSTER_EVENTS))));
    }
}

/// Verbs needed on a resource. Pods are looked up by a list, because only a list honours the selectors, and other
/// objects by their name.
fn verbs(resource: Resource) -> &'static [&'static str] {
    match resource {
        Resource::Events | Resource::NodeEvents | Resource::Objects(Kind::Pod) => &["list", "watch"],
        Resource::Objects(_) => &["get", "list", "watch"],
    }
}

/// The objects that the program keeps in its own namespace.
fn own(config: &Config, needs: &mut Vec<Access>) {
    if let Some(state) = &config.state {
        let on = |verb| Access::new(verb, "", "configmaps").within(&*state.namespace).named(&state.name);
        needs.extend(["get", "create", "patch"].map(on));
    }
    if let Some(election) = &config.election {
        let on = |verb| {
            let lease = Access::new(verb, "coordination.k8s.io", "leases");
            lease.within(&*election.namespace).named(&election.name)
        };
        needs.extend(["get", "watch", "create", "patch"].map(on));
    }
    if let Some(owner) = &config.owner {
        needs.push(Access::new("get", "apps", "deployments").within(&*owner.namespace).named(&owner.deployment));
    }
}

fn certificate(config: &Config, needs: &mut Vec<Access>) {
    let Some(webhook) = &config.webhook else { return };
    let on_configuration = |name: &str, verb: &str| {
        Access::new(verb, "admissionregistration.k8s.io", "mutatingwebhookconfigurations").named(name)
    };
    if let Some(name) = webhook.certificate.configuration() {
        needs.extend(["get", "watch"].map(|verb| on_configuration(name, verb)));
    }
    if let CertMode::SelfManaged(kept) = &webhook.certificate {
        needs.push(on_configuration(&kept.configuration, "patch"));
        let on = |verb| Access::new(verb, "", "secrets").within(&*kept.namespace).named(&kept.secret);
        needs.extend(["get", "watch", "create", "patch"].map(on));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::config;

    fn needs(flags: &[&str]) -> Vec<String> {
        of(&config(flags)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn flags_decide_the_needed_permissions() {
        let flags = ["--namespaces=a,b", "--resolve-references=false", "--state-namespace=", "--node-events=false"];
        let plain = needs(&flags);
        assert_eq!(plain.len(), 2 * 16, "{plain:?}");
        let nodes = needs(&flags[..3]);
        assert_eq!(nodes[2 * 16..], ["list events in default", "watch events in default"]);
        assert_eq!(needs(&["--namespaces=a,default"]).iter().filter(|need| need.contains("events in")).count(), 4);
        assert!(!plain.iter().any(|need| need.contains("secrets")), "{plain:?}");
        let all = needs(&["--owner-deployment=logs", "--state-name=progress"]);
        for need in [
            "list pods in all namespaces",
            "get secrets in all namespaces",
            "patch configmaps/progress in coder",
            "get deployments.apps/logs in coder",
        ] {
            assert!(all.iter().any(|one| one == need), "{need}: {all:?}");
        }
    }

    #[test]
    fn a_self_managed_certificate_needs_its_secret_and_the_configuration() {
        let flags = ["--webhook-addr=:1", "--webhook-config-name=logs", "--webhook-service=logs.coder"];
        let needs = needs(&flags);
        for need in [
            "patch mutatingwebhookconfigurations.admissionregistration.k8s.io/logs",
            "create secrets/coder-logstream-kube-webhook in coder",
        ] {
            assert!(needs.iter().any(|one| one == need), "{need}: {needs:?}");
        }
    }
}
