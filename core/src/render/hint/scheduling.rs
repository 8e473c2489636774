//! Why no node takes a pod.

use super::names_missing;

/// For each group of nodes that the scheduler turned down, why.
pub(in crate::render) fn unschedulable(message: &str) -> Option<String> {
    if message.contains("no nodes available to schedule pods") {
        return Some("The cluster has no node at the moment. It may be starting one.".to_owned());
    }
    if names_missing(message, "persistentvolumeclaim") {
        return Some("A volume claim that the template names does not exist in this namespace.".to_owned());
    }
    let reasons = message.split_once("nodes are available: ")?.1;
    if reasons.starts_with("pod has unbound immediate PersistentVolumeClaims") {
        return Some("The workspace waits for a volume that is not bound yet.".to_owned());
    }
    let reasons = reasons.split(". ").next().unwrap_or(reasons).trim_end_matches('.');
    let groups: Vec<String> = split_groups(reasons).into_iter().filter_map(group).collect();
    (!groups.is_empty())
        .then(|| format!("No node can take the workspace now: {}. Kubernetes keeps trying.", groups.join("; ")))
}

/// `1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}`: commas inside braces or parentheses do not part.
fn split_groups(reasons: &str) -> Vec<&str> {
    let mut groups = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in reasons.char_indices() {
        match c {
            '{' | '(' => depth += 1,
            '}' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                groups.push(&reasons[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    groups.push(&reasons[start..]);
    groups
}

/// `2 Insufficient cpu` → `2 nodes have too little free CPU`
fn group(group: &str) -> Option<String> {
    let (number, reason) = group.trim().split_once(' ')?;
    let number: u32 = number.parse().ok()?;
    let one = number == 1;
    let has = |what: String| format!("{} {what}", if one { "has" } else { "have" });
    let be = |what: &str| format!("{} {what}", if one { "is" } else { "are" });
    let does_not = |what: &str| format!("{} not {what}", if one { "does" } else { "do" });
    let says = |words: &str| reason.contains(words);
    let why = if let Some(resource) = reason.strip_prefix("Insufficient ") {
        has(format!("too little free {}", if resource == "cpu" { "CPU" } else { resource }))
    } else if says("Too many pods") {
        be("at the pod limit")
    } else if says("taint") {
        let taint = reason.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(taint, _)| taint);
        if let Some(trouble) = taint.and_then(trouble) {
            be(trouble)
        } else {
            let taint = taint.map(|taint| format!(" (taint {})", taint.trim_end_matches([':', ' '])));
            be(&format!("reserved for other work{}", taint.unwrap_or_default()))
        }
    } else if says("volume node affinity conflict") || says("PersistentVolume's node affinity") {
        be("in a different zone than the workspace's volume")
    } else if says("unbound immediate PersistentVolumeClaims") {
        has("a volume that does not exist yet".to_owned())
    } else if says("Pod's node affinity") || says("node selector") {
        does_not("match the template's node selector or affinity")
    } else if says("node(s) were unschedulable") {
        be("cordoned")
    } else {
        return None;
    };
    Some(format!("{number} {} {why}", if one { "node" } else { "nodes" }))
}

/// What a taint that Kubernetes itself sets says of its node (`k8s.io/api/core/v1/well_known_taints.go`).
fn trouble(taint: &str) -> Option<&'static str> {
    let key = taint.split([':', '=']).next().unwrap_or(taint).trim();
    Some(match key {
        "node.kubernetes.io/not-ready" => "not ready",
        "node.kubernetes.io/unreachable" => "not reachable",
        "node.kubernetes.io/unschedulable" => "cordoned",
        "node.kubernetes.io/memory-pressure" => "low on memory",
        "node.kubernetes.io/disk-pressure" => "low on disk space",
        "node.kubernetes.io/pid-pressure" => "low on process IDs",
        "node.kubernetes.io/network-unavailable" => "without a network",
        "node.kubernetes.io/out-of-service" => "out of service",
        "node.cloudprovider.kubernetes.io/uninitialized" => "still starting",
        "node.cloudprovider.kubernetes.io/shutdown" => "shut down",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_each_group_of_nodes_is_explained() {
        let hint = unschedulable(
            "0/6 nodes are available: 1 Insufficient cpu, 2 Insufficient memory, 3 node(s) had untolerated taint \
             {gpu: yes, more}. preemption: 0/6 nodes are available: 6 Preemption is not helpful for scheduling.",
        )
        .unwrap();
        for part in [
            "1 node has too little free CPU",
            "2 nodes have too little free memory",
            "3 nodes are reserved for other work",
            "gpu: yes",
        ] {
            assert!(hint.contains(part), "{hint}");
        }
        assert_eq!(unschedulable("something new"), None);
    }

    #[test]
    fn a_taint_of_a_node_in_trouble_is_not_taken_for_a_reserved_node() {
        for (taint, words) in [
            ("node.kubernetes.io/not-ready: ", "1 node is not ready"),
            ("node.kubernetes.io/disk-pressure: ", "1 node is low on disk space"),
            ("node.kubernetes.io/unreachable: ", "1 node is not reachable"),
            ("gpu: yes", "1 node is reserved for other work (taint gpu: yes)"),
        ] {
            let message =
                format!("0/1 nodes are available: 1 node(s) had untolerated taint {{{taint}}}. preemption: x");
            let hint = unschedulable(&message).unwrap();
            assert!(hint.contains(words), "{hint}");
        }
    }

    #[test]
    fn affinity_of_the_volume_is_not_taken_for_that_of_the_pod() {
        let hint = unschedulable(
            "0/2 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, 1 node(s) had untolerated \
             taint(s). no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful.",
        )
        .unwrap();
        assert!(
            hint.contains(
                "1 node is in a different zone than the workspace's volume; 1 node is reserved for other work"
            ),
            "{hint}"
        );
        let others = "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules. preemption: none";
        assert_eq!(unschedulable(others), None);
        let volume = "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: none";
        assert!(unschedulable(volume).unwrap().contains("volume"));
    }
}
