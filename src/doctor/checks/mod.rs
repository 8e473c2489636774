//! The checks, one a file.

mod api_server;
mod api_version;
mod checkpoint;
mod coder_certificate;
mod coder_clock;
mod coder_rate_limit;
mod coder_reachable;
mod coder_redirects;
mod coder_version;
mod deployment;
mod leader;
mod namespaces;
mod network_policies;
mod permissions_needed;
mod permissions_unneeded;
mod pod_security;
mod proxies;
mod service_endpoints;
mod service_mesh;
mod token_references;
mod webhook_call;
mod webhook_certificate;
mod webhook_configuration;
mod webhook_latency;
mod webhook_selectors;
mod workspaces_missed;

use super::check::Check;

/// All checks in their order. Groups are contiguous.
pub(super) const ALL: &[Check] = &[
    api_server::CHECK,
    api_version::CHECK,
    namespaces::CHECK,
    permissions_needed::CHECK,
    permissions_unneeded::CHECK,
    deployment::CHECK,
    pod_security::CHECK,
    leader::CHECK,
    checkpoint::CHECK,
    webhook_configuration::CHECK,
    webhook_selectors::CHECK,
    webhook_certificate::CHECK,
    webhook_call::CHECK,
    webhook_latency::CHECK,
    service_endpoints::CHECK,
    network_policies::CHECK,
    service_mesh::CHECK,
    proxies::CHECK,
    coder_reachable::CHECK,
    coder_version::CHECK,
    coder_redirects::CHECK,
    coder_certificate::CHECK,
    coder_rate_limit::CHECK,
    coder_clock::CHECK,
    workspaces_missed::CHECK,
    token_references::CHECK,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_groups_contiguous() {
        let ids: BTreeSet<_> = ALL.iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), ALL.len());
        let mut groups: Vec<_> = ALL.iter().map(|check| check.group).collect();
        groups.dedup();
        assert_eq!(groups.len(), groups.iter().collect::<BTreeSet<_>>().len(), "{groups:?}");
    }

    #[test]
    fn the_documentation_has_each_group_and_each_check() {
        let docs = include_str!("../../../docs/doctor.md");
        for check in ALL {
            assert!(docs.contains(&format!("\n## {}\n", check.group.title())), "{:?}", check.group);
            assert!(docs.contains(&format!("| `{}` |", check.id)), "{} is not documented", check.id);
        }
        let groups = docs.lines().skip_while(|line| *line != "## Kubernetes API");
        let groups = groups.take_while(|line| *line != "## Permissions of doctor");
        let documented = groups.filter(|line| line.starts_with("| `")).count();
        assert_eq!(documented, ALL.len(), "a check that does not exist is documented");
    }
}
