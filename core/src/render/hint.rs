//! Plain sentences for the failures that are known: what it means, and what the reader can do.

use super::quantity::requested;
use crate::notice::WaitingFor;

/// For an Event whose message alone does not help.
pub(super) fn event(reason: &str, message: &str) -> Option<String> {
    let hint = match reason {
        "FailedMount" | "FailedAttachVolume" => return Some(volume(message)),
        "FailedCreatePodSandBox" => "The node could not set up the pod's network or sandbox. It tries again by itself.",
        "Preempted" => "A pod of higher priority took its place.",
        "NodeNotReady" => "The node that runs the workspace does not answer.",
        "FailedBinding" | "ProvisioningFailed" => "The workspace's volume could not be made. Ask your administrator.",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn volume(message: &str) -> String {
    let hint = if message.contains("Multi-Attach") {
        "The volume is still in use on another node, perhaps by the previous run of this workspace. It is freed when that \
         pod is gone."
    } else if message.contains("secret") && message.contains("not found") {
        "A Secret that the template mounts does not exist in this namespace."
    } else if message.contains("configmap") && message.contains("not found") {
        "A ConfigMap that the template mounts does not exist in this namespace."
    } else {
        "A volume cannot be mounted yet. Kubernetes tries again by itself; if this stays, ask your administrator."
    };
    hint.to_owned()
}

/// For a pod that the API server refused.
pub(super) fn refused(message: &str) -> Option<String> {
    if let Some((_, quota)) = message.split_once("exceeded quota: ") {
        let name = quota.split(',').next().unwrap_or_default().trim();
        return Some(format!(
            "The namespace's quota \"{name}\" is used up{}. Stop a workspace you do not need, or ask your administrator to \
             raise it.",
            requested(quota)
        ));
    }
    let hint = if message.contains("failed quota") {
        "The namespace's quota asks that the template sets requests or limits for its resources."
    } else if message.contains("violates PodSecurity") {
        "The namespace's security policy does not allow what the template asks for. The template must be changed."
    } else if message.contains("error looking up service account") || message.contains("serviceaccount") {
        "The ServiceAccount that the template names does not exist in this namespace."
    } else if message.contains("no PriorityClass") {
        "The PriorityClass that the template names does not exist."
    } else if message.contains("usage per") || message.contains("LimitRange") {
        "The template asks for more (or less) than the namespace's LimitRange allows."
    } else if message.contains("denied the request") {
        "A policy of the cluster refused the pod."
    } else {
        return None;
    };
    Some(hint.to_owned())
}

/// For each group of nodes that the scheduler turned down, why.
pub(super) fn unschedulable(message: &str) -> Option<String> {
    if message.contains("no nodes available to schedule pods") {
        return Some("The cluster has no node at the moment. It may be starting one.".to_owned());
    }
    if message.contains("persistentvolumeclaim") && message.contains("not found") {
        return Some("A volume claim that the template names does not exist in this namespace.".to_owned());
    }
    let reasons = message.split_once("nodes are available: ")?.1;
    let reasons = reasons.split(". ").next().unwrap_or(reasons).trim_end_matches('.');
    let groups: Vec<String> = split_groups(reasons).into_iter().filter_map(group).collect();
    (!groups.is_empty())
        .then(|| format!("No node can take the workspace now: {}. It starts as soon as one can.", groups.join("; ")))
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

fn group(group: &str) -> Option<String> {
    let group = group.trim();
    let (number, reason) = group.split_once(' ')?;
    let number: u32 = number.parse().ok()?;
    let nodes = if number == 1 { "1 node" } else { &format!("{number} nodes") };
    let why = if let Some(resource) = reason.strip_prefix("Insufficient ") {
        format!("too little free {}", if resource == "cpu" { "CPU" } else { resource })
    } else if reason.contains("Too many pods") {
        "as many pods as allowed".to_owned()
    } else if reason.contains("taint") {
        let taint = reason.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(taint, _)| taint);
        match taint {
            Some(taint) => {
                format!("a taint that the template does not tolerate ({})", taint.trim_end_matches([':', ' ']))
            }
            None => "a taint that the template does not tolerate".to_owned(),
        }
    } else if reason.contains("volume node affinity conflict") {
        "the wrong place for the workspace's volume".to_owned()
    } else if reason.contains("unbound immediate PersistentVolumeClaims") {
        "a volume that does not exist yet".to_owned()
    } else if reason.contains("affinity") || reason.contains("selector") {
        "labels that the template does not select".to_owned()
    } else if reason.contains("unschedulable") {
        "been closed for new pods".to_owned()
    } else {
        return None;
    };
    let verb = match (number, why.starts_with("been")) {
        (1, _) => "has",
        (_, _) => "have",
    };
    Some(format!("{nodes} {verb} {why}"))
}

/// For a pod that its node threw out.
pub(super) fn evicted(message: &str) -> String {
    let why = if message.contains("low on resource: memory") {
        "The node ran out of memory and ended the workspace's pod."
    } else if message.contains("ephemeral-storage") || message.contains("ephemeral local storage") {
        "The workspace's pod used more temporary disk space than there was or than its limit allows."
    } else if message.contains("low on resource: inodes") || message.contains("low on resource: pids") {
        "The node ran out of inodes or process ids and ended the workspace's pod."
    } else {
        "The node ended the workspace's pod."
    };
    format!("{why} Start the workspace again; if it happens often, ask for more resources in the template.")
}

/// How a container ended, and what that means.
pub(super) fn terminated(
    what: &str,
    container: &str,
    exit_code: i32,
    reason: &str,
    memory_limit: Option<&str>,
) -> (String, Option<String>) {
    if reason == "OOMKilled" {
        let limit = memory_limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
        return (
            format!("{what} {container} was killed: out of memory (OOMKilled, exit code {exit_code})"),
            Some(format!(
                "It used more memory than its limit{limit}. Choose a larger size for the workspace, or run less in it."
            )),
        );
    }
    let text = match reason {
        "" | "Error" | "Completed" => format!("{what} {container} ended with exit code {exit_code}"),
        reason => format!("{what} {container} ended with exit code {exit_code} ({reason})"),
    };
    let meaning = match exit_code {
        1 => "Its command failed. The container's own log says why.",
        126 => "Its command is not executable.",
        127 => "Its command does not exist in the image.",
        137 => "It was killed (SIGKILL).",
        139 => "It crashed (segmentation fault).",
        143 => "It was asked to stop (SIGTERM).",
        _ => return (text, None),
    };
    (text, Some(meaning.to_owned()))
}

/// Why a container does not start.
pub(super) fn waiting(container: &str, why: WaitingFor, image: &str, message: &str) -> (String, String) {
    let lower = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match why {
        WaitingFor::Image => (
            format!("Container {container} cannot start: image \"{image}\" cannot be pulled"),
            if has(&["unauthorized", "denied", "authentication required", "no basic auth", "forbidden"]) {
                "The registry asks for a login, or does not have this image. Check its name, and the pull secret of the template."
            } else if has(&["toomanyrequests", "too many requests", "rate limit"]) {
                "The registry limits how often images are pulled. Kubernetes tries again by itself."
            } else if has(&["no such host", "timeout", "connection refused", "i/o timeout", "unreachable"]) {
                "The registry does not answer. Kubernetes tries again by itself."
            } else if has(&["not found", "manifest unknown", "does not exist"]) {
                "There is no such image. Check its name and tag in the template."
            } else {
                "Check its name and tag in the template, and the pull secret if the registry is private."
            }
            .to_owned(),
        ),
        WaitingFor::ImageName => (
            format!("Container {container} cannot start: \"{image}\" is not a valid image name"),
            "Correct the image in the template.".to_owned(),
        ),
        WaitingFor::CrashLoop => (
            format!("Container {container} ends again and again (CrashLoopBackOff)"),
            "Kubernetes waits longer before each new try. The container's own log says why it ends.".to_owned(),
        ),
        WaitingFor::Config => (
            format!("Container {container} cannot start: {message}"),
            "Something that the template refers to, such as a Secret or a ConfigMap, is missing in this namespace.".to_owned(),
        ),
        WaitingFor::Container => (
            format!("Container {container} cannot start: {message}"),
            "Check the command and the mounts of the template.".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unschedulable_tells_the_reason_of_each_group_of_nodes() {
        let hint = unschedulable(
            "0/6 nodes are available: 1 Insufficient cpu, 2 Insufficient memory, 3 node(s) had untolerated taint \
             {gpu: yes, more}. preemption: 0/6 nodes are available: 6 Preemption is not helpful for scheduling.",
        )
        .unwrap();
        for part in [
            "1 node has too little free CPU",
            "2 nodes have too little free memory",
            "3 nodes have a taint",
            "gpu: yes",
        ] {
            assert!(hint.contains(part), "{hint}");
        }
        assert_eq!(unschedulable("something new"), None);
    }

    #[test]
    fn each_known_refusal_has_a_sentence() {
        for (message, word) in [
            (
                "pods \"a\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0",
                "quota \"q\"",
            ),
            ("pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": x", "security policy"),
            (
                "pods \"a-\" is forbidden: error looking up service account sa1/missing: serviceaccount \"missing\" not found",
                "ServiceAccount",
            ),
            ("pods \"a-\" is forbidden: no PriorityClass with name missing was found", "PriorityClass"),
            ("pods \"a\" is forbidden: maximum memory usage per Container is 100Mi, but limit is 1Gi", "LimitRange"),
        ] {
            let hint = refused(message).unwrap();
            assert!(hint.contains(word), "{hint}");
        }
    }
}
