//! No node accepts the pod. The scheduler's message lists reasons, each with its number of nodes, and each reason is
//! explained separately. An entry with a number of nodes describes these nodes: `{n}` is their number, and `{is|are}`
//! is chosen by it.

use super::{
    Actor::{Administrator, Nobody, Owner, TemplateAuthor},
    Area::Scheduling as AREA,
    Cause,
    pattern::Pattern,
    symptom::Topic,
};
use crate::line::Level::{Debug, Error, Warn};

const REASON: Pattern = Pattern::of(Topic::Scheduling);
const EVENT: Pattern = Pattern::of(Topic::Event);

const MORE_ROOM: &str = "Stop a workspace you do not need, or choose a smaller size; if that does not help, ask your administrator \
                         for more room.";
const NODE_TROUBLE: &str = "Such nodes are in trouble or about to go, which is not the template's fault: if it stays so, tell your \
                            administrator.";
const CHANGE_PLACE: &str =
    "The template's author must change where it asks to run, or an administrator must add such a node.";

pub(super) static CAUSES: &[Cause] = &[
    // Karpenter writes its Events under the scheduler's reason.
    Cause::new(AREA, "karpenter_limit", Warn, Administrator, "Karpenter's node pools are at their limit")
        .on(&[REASON.text(&["exceed limits for nodepool", "exceed limits for provisioner", "would exceed node limits"])])
        .says("Karpenter may not add a node for the workspace: its node pools are at their limit.", "An administrator can raise it.")
        .seen("FailedScheduling", "Failed to schedule pod, all available instance types exceed limits for nodepool: \"default\""),
    Cause::new(AREA, "karpenter_no_capacity", Warn, Administrator, "The cloud has no such machine free at the moment")
        .on(&[EVENT.reason(&["InsufficientCapacityError", "InsufficientCapacity", "FailedLaunch", "LaunchFailed"]),
            REASON.text(&["failed to schedule pod, *insufficient capacity"]),])
        .says("The cloud has no machine of the needed kind free at the moment.", "Karpenter tries others by itself; if it stays so, tell your administrator.")
        .seen("InsufficientCapacityError", "NodeClaim default-x7k2p event: creating instance, insufficient capacity"),
    Cause::new(AREA, "karpenter_no_pool", Warn, TemplateAuthor, "No Karpenter node pool fits the workspace")
        .on(&[REASON.text(&["incompatible with nodepool ?,", "incompatible with provisioner ?,", "failed to schedule pod, ", "no nodepools found"])])
        .says(
            "Karpenter has no node pool{q1} that fits what the workspace asks for: its size, zone, architecture or tolerations.",
            "Choose another size, or ask the template's author or an administrator.",
        )
        .seen(
            "FailedScheduling",
            "Failed to schedule pod, incompatible with nodepool \"default\", daemonset overhead={\"cpu\":\"150m\"}, no instance \
             type satisfied resources {\"cpu\":\"200\",\"pods\":\"1\"} and requirements kubernetes.io/arch In [amd64]",
        ),
    Cause::new(AREA, "karpenter_nominated", Debug, Nobody, "Karpenter has a node in mind")
        .on(&[EVENT.reason(&["Nominated", "NominatePod"])])
        .says("Karpenter has chosen a node for the workspace, or is starting one.", "This usually takes a few minutes.")
        .seen("Nominated", "Pod should schedule on: nodeclaim/default-x7k2p"),
    Cause::new(AREA, "autoscaler_up", Debug, Nobody, "The autoscaler adds a node")
        .on(&[EVENT.reason(&["TriggeredScaleUp"])])
        .says("The cluster is adding a node for the workspace.", "This usually takes a few minutes.")
        .seen("TriggeredScaleUp", "pod triggered scale-up: [{eks-workspaces 1->2 (max: 10)}]"),
    Cause::new(AREA, "autoscaler_max", Warn, Administrator, "The autoscaler is at its maximum")
        .on(&[EVENT.reason(&["NotTriggerScaleUp"]).text(&["max node group size reached", "max total nodes in cluster reached", "max cluster *limit reached", "max limit reached", "max size reached"])])
        .says(
            "The autoscaler does not add a node for the workspace: it is at the largest size that it may make the cluster.",
            "Stop a workspace you do not need, or ask your administrator to raise the limit.",
        )
        .seen(
            "NotTriggerScaleUp",
            "pod didn't trigger scale-up: 12 node(s) didn't match Pod's node affinity/selector, 3 max node group size reached",
        ),
    Cause::new(AREA, "autoscaler_backoff", Warn, Administrator, "Adding a node failed")
        .on(&[EVENT.reason(&["NotTriggerScaleUp"]).text(&["in backoff after failed scale-up", "not ready for scale-up", "not ready for scaleup"]),
            EVENT.reason(&["FailedScaleUp", "FailedToScaleUpGroup", "ScaleUpTimedOut", "ScaleUpFailed"]),])
        .says("The autoscaler tried to add a node, and the cloud did not give it one.", "It tries again later; tell your administrator if it stays so.")
        .seen("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 in backoff after failed scale-up"),
    Cause::new(AREA, "autoscaler_no_fit", Warn, TemplateAuthor, "A new node would not help")
        .on(&[EVENT.reason(&["NotTriggerScaleUp"])])
        .says(
            "The autoscaler does not add a node for the workspace: none that it can add would fit, for the reasons in the message.",
            "Choose a smaller size, or ask the template's author or an administrator.",
        )
        .seen("NotTriggerScaleUp", "pod didn't trigger scale-up: 2 Insufficient cpu, 1 node(s) had untolerated taint {gpu: yes}"),
    // The following entries are reasons of the scheduler, in the order in which their advice is preferred.
    Cause::new(AREA, "fargate", Error, TemplateAuthor, "Fargate cannot run the pod")
        .on(&[REASON.text(&["not supported on fargate", "fargate is not supported"])])
        .says("AWS Fargate cannot run the workspace: it does not support what the message names", "The template's author must change that, or let the workspace run on other nodes.")
        .seen("FailedScheduling", "Pod not supported on Fargate: invalid SecurityContext fields: Privileged"),
    Cause::new(AREA, "preempting", Debug, Nobody, "Other pods make room")
        .on(&[REASON.text(&["found a potential placement", "found a placement for podgroup", "not eligible due to a terminating pod on the nominated node"])])
        .says("Pods of lower priority are being ended to make room for the workspace", "This usually takes less than a minute.")
        .seen("FailedScheduling", "found a potential placement for pod on node node-1, preempting 1 victims"),
    Cause::new(AREA, "claim_missing", Error, TemplateAuthor, "The volume claim does not exist")
        .on(&[REASON.text(&["persistentvolumeclaim ? not found", "persistentvolumeclaims ? not found"])])
        .says("The volume claim{q1} that the template names does not exist in this namespace", "The template's author must create it or name another.")
        .seen("FailedScheduling", "persistentvolumeclaim \"home\" not found"),
    Cause::new(AREA, "claim_deleted", Warn, Administrator, "The volume claim is being deleted")
        .on(&[REASON.text(&["persistentvolumeclaim ? is being deleted"])])
        .says("The workspace's volume claim{q1} is being deleted", "Stop the workspace and start it again; if it stays so, ask your administrator.")
        .seen("FailedScheduling", "persistentvolumeclaim \"home\" is being deleted"),
    Cause::new(AREA, "claim_lost", Error, Administrator, "The claim's volume does not exist any more")
        .on(&[REASON.text(&["bound to non-existent persistentvolume ?", "pvc(s) bound to non-existent pv(s)"])])
        .says("The volume{q1} behind the workspace's claim does not exist any more, and its data may be lost", "Ask your administrator.")
        .seen("FailedScheduling", "persistentvolumeclaim \"home\" bound to non-existent persistentvolume \"pv-1\""),
    Cause::new(AREA, "claim_unbound", Warn, Nobody, "The volume is not there yet")
        .on(&[REASON.text(&["unbound immediate persistentvolumeclaims", "unbound persistentvolumeclaims", "waiting for ephemeral volume controller to create the persistentvolumeclaim"])])
        .says("The workspace waits for its volume, which does not exist yet", "Kubernetes tries again by itself; if it stays so for minutes, ask your administrator.")
        .seen("FailedScheduling", "pod has unbound immediate PersistentVolumeClaims"),
    Cause::new(AREA, "volume_binding", Warn, Nobody, "The volume could not be bound in time")
        .on(&[REASON.text(&["binding volumes:"]), REASON.raw(&["prebind plugin \"volumebinding\"", "filter plugin \"volumebinding\""])])
        .says("The workspace's volume was not ready in time", "Kubernetes tries again by itself; if it goes on, ask your administrator.")
        .seen("FailedScheduling", "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded"),
    Cause::new(AREA, "volume_none_fits", Warn, Administrator, "No existing volume fits the claim")
        .on(&[REASON.text(&["didn't find available persistent volumes", "did not find available persistent volumes"])])
        .says("{n} {has|have} no free volume that fits the workspace's claim", "Ask your administrator for a volume, or the template's author for another storage class.")
        .seen("FailedScheduling", "1 node(s) didn't find available persistent volumes to bind"),
    Cause::new(AREA, "storage_capacity", Warn, Administrator, "The storage has no room for the volume")
        .on(&[REASON.text(&["did not have enough free storage", "not enough free storage", "enough free storage"])])
        .says("{n} {has|have} too little free storage for the workspace's volume", "Ask your administrator for more storage, or choose a smaller volume.")
        .seen("FailedScheduling", "3 node(s) did not have enough free storage"),
    Cause::new(AREA, "volume_in_use", Warn, Owner, "The volume is in use by another pod")
        .on(&[REASON.text(&["readwriteoncepod", "no available disk"])])
        .says("{n} {has|have} the workspace's volume in use by another pod, and only one may use it", "It is freed when that pod is gone: stop the other workspace, or wait for the previous run to end.")
        .seen("FailedScheduling", "1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"),
    Cause::new(AREA, "volume_zone", Warn, Administrator, "The volume is in another zone or on another node")
        .on(&[REASON.text(&["volume node affinity conflict", "persistentvolume's node affinity", "no available volume zone", "novolumezoneconflict"])])
        .says("{n} {is|are} in a different zone than the workspace's volume, or cannot reach it", "The workspace can run only where its volume is: an administrator must make room there.")
        .seen("FailedScheduling", "1 node(s) had volume node affinity conflict"),
    Cause::new(AREA, "volume_count", Warn, Administrator, "The node has as many volumes as it can attach")
        .on(&[REASON.text(&["exceed max volume count", "exceed max volume", "csi driver to have*limit", "maxvolumecount"])])
        .says("{n} {has|have} as many volumes attached as {it|they} can", MORE_ROOM)
        .seen("FailedScheduling", "2 node(s) exceed max volume count"),
    Cause::new(AREA, "cpu", Warn, Owner, "Too little free CPU")
        .on(&[REASON.text(&["insufficient cpu"])])
        .says("{n} {has|have} too little free CPU", MORE_ROOM)
        .seen("FailedScheduling", "2 Insufficient cpu"),
    Cause::new(AREA, "memory", Warn, Owner, "Too little free memory")
        .on(&[REASON.text(&["insufficient memory"])])
        .says("{n} {has|have} too little free memory", MORE_ROOM)
        .seen("FailedScheduling", "2 Insufficient memory"),
    Cause::new(AREA, "gpu", Warn, Administrator, "Too few free GPUs")
        .on(&[REASON.text(&["insufficient ?gpu*", "insufficient gpu?", "insufficient ?/mig-"])])
        .says("{n} {has|have} too few free GPUs, or none", "Wait until another workspace frees one, or ask your administrator.")
        .seen("FailedScheduling", "1 Insufficient nvidia.com/gpu"),
    Cause::new(AREA, "ephemeral_storage", Warn, Owner, "Too little free temporary disk space")
        .on(&[REASON.text(&["insufficient ephemeral-storage"])])
        .says("{n} {has|have} too little free temporary disk space (ephemeral-storage)", MORE_ROOM)
        .seen("FailedScheduling", "1 Insufficient ephemeral-storage"),
    Cause::new(AREA, "pod_count", Warn, Administrator, "The node has as many pods as it may")
        .on(&[REASON.text(&["too many pods", "insufficient pods"])])
        .says("{n} {is|are} at {its|their} pod limit", MORE_ROOM)
        .seen("FailedScheduling", "3 Too many pods"),
    Cause::new(AREA, "extended_resource", Warn, Administrator, "Too little of a special resource")
        .on(&[REASON.text(&["insufficient ?"])])
        .says("{n} {has|have} too little free {1}, or none", "Wait until another workspace frees it, or ask your administrator.")
        .seen("FailedScheduling", "1 Insufficient hugepages-2Mi"),
    Cause::new(AREA, "host_port", Warn, TemplateAuthor, "The port is taken on the node")
        .on(&[REASON.text(&["free ports", "podfitshostports"])])
        .says("{n} {has|have} the port in use that the template asks for (hostPort)", "Only one such workspace fits on a node: the template's author should not use hostPort.")
        .seen("FailedScheduling", "1 node(s) didn't have free ports for the requested pod ports"),
    Cause::new(AREA, "dra", Warn, Administrator, "The devices of a resource claim are not available")
        .on(&[REASON.text(&["resourceclaim", "cannot allocate all claims", "resource claim", "deviceclass", "device class", "dynamic resource", "resource-claim"]), REASON.raw(&["prebind plugin \"dynamicresources\""])])
        .says("{n} {has|have} no free device for the workspace's resource claim, or it is not made yet", "Wait until one is free, or ask your administrator.")
        .seen("FailedScheduling", "3 cannot allocate all claims"),
    Cause::new(AREA, "dra_claim", Warn, TemplateAuthor, "The workspace's ResourceClaim cannot be created")
        .on(&[EVENT.reason(&["FailedResourceClaimCreation"])])
        .says("The workspace's request for a device (ResourceClaim) could not be created.", "Kubernetes tries again by itself; if it stays so, the template's author must correct its template.")
        .seen("FailedResourceClaimCreation", "PodResourceClaim gpu: failed to create ResourceClaim: resourceclaimtemplates.resource.k8s.io \"gpu\" not found"),
    Cause::new(AREA, "node_not_ready", Warn, Administrator, "The node is not ready or does not answer")
        .on(&[REASON.raw(&["taint {node.kubernetes.io/not-ready", "taint {node.kubernetes.io/unreachable", "taint {node.kubernetes.io/network-unavailable", "taint {node.kubernetes.io/out-of-service"]),
            REASON.text(&["were not ready", "were unreachable", "network unavailable", "node(s) had condition"]),])
        .says("{n} {is|are} not ready or {does|do} not answer", NODE_TROUBLE)
        .seen("FailedScheduling", "1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }"),
    Cause::new(AREA, "node_disk_pressure", Warn, Administrator, "The node is low on disk space")
        .on(&[REASON.raw(&["taint {node.kubernetes.io/disk-pressure"]), REASON.text(&["disk pressure", "out of disk"])])
        .says("{n} {is|are} low on disk space", NODE_TROUBLE)
        .seen("FailedScheduling", "1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }"),
    Cause::new(AREA, "node_memory_pressure", Warn, Administrator, "The node is low on memory")
        .on(&[REASON.raw(&["taint {node.kubernetes.io/memory-pressure"]), REASON.text(&["memory pressure"])])
        .says("{n} {is|are} low on memory", NODE_TROUBLE)
        .seen("FailedScheduling", "1 node(s) had untolerated taint {node.kubernetes.io/memory-pressure: }"),
    Cause::new(AREA, "node_pid_pressure", Warn, Administrator, "The node is low on process IDs")
        .on(&[REASON.raw(&["taint {node.kubernetes.io/pid-pressure"]), REASON.text(&["pid pressure"])])
        .says("{n} {is|are} low on process IDs", NODE_TROUBLE)
        .seen("FailedScheduling", "1 node(s) had untolerated taint {node.kubernetes.io/pid-pressure: }"),
    Cause::new(AREA, "node_starting", Warn, Nobody, "The node is still starting")
        .on(&[REASON.raw(&["taint {node.cloudprovider.kubernetes.io/uninitialized", "taint {karpenter.sh/unregistered", "taint {?/agent-not-ready", "taint {?/startup-taint", "taint {startup-taint.cluster-autoscaler", "taint {?/not-initialized"])])
        .says("{n} {is|are} still starting", "This usually takes a few minutes.")
        .seen("FailedScheduling", "1 node(s) had untolerated taint {node.cloudprovider.kubernetes.io/uninitialized: true}"),
    Cause::new(AREA, "node_going", Warn, Nobody, "The node is being removed")
        .on(&[REASON.raw(&["taint {node.cloudprovider.kubernetes.io/shutdown", "taint {tobedeletedbyclusterautoscaler", "taint {deletioncandidateofclusterautoscaler", "taint {karpenter.sh/disrupted", "taint {karpenter.sh/disruption", "taint {aws-node-termination-handler", "taint {cloud.google.com/impending-node-termination"])])
        .says("{n} {is|are} being removed from the cluster", NODE_TROUBLE)
        .seen("FailedScheduling", "1 node(s) had untolerated taint {karpenter.sh/disrupted: }"),
    Cause::new(AREA, "node_cordoned", Warn, Administrator, "The node is cordoned")
        .on(&[REASON.raw(&["taint {node.kubernetes.io/unschedulable"]), REASON.text(&["were unschedulable", "node(s) unschedulable", "nodeunschedulable"])])
        .says("{n} {is|are} cordoned (closed for new pods by an administrator)", "An administrator must open {it|them} again or add others.")
        .seen("FailedScheduling", "1 node(s) were unschedulable"),
    Cause::new(AREA, "topology_spread", Warn, TemplateAuthor, "The pods are to be spread more evenly")
        .on(&[REASON.text(&["topology spread"])])
        .says("{n} would make the workspace's pods less evenly spread than the template asks for", CHANGE_PLACE)
        .seen("FailedScheduling", "2 node(s) didn't match pod topology spread constraints"),
    Cause::new(AREA, "pod_anti_affinity", Warn, TemplateAuthor, "Another pod keeps the workspace away")
        .on(&[REASON.text(&["anti-affinity rules"]).without(&["affinity/anti-affinity"])])
        .says("{n} {runs|run} a pod that this one must not be beside (anti-affinity)", CHANGE_PLACE)
        .seen("FailedScheduling", "1 node(s) didn't match pod anti-affinity rules"),
    Cause::new(AREA, "pod_affinity", Warn, TemplateAuthor, "The pod that the workspace must be beside is not there")
        .on(&[REASON.text(&["pod affinity rules", "pod affinity terms", "interpodaffinity", "affinity/anti-affinity"])])
        .says("{n} {does|do} not run the pod that this one must be beside (pod affinity)", CHANGE_PLACE)
        .seen("FailedScheduling", "1 node(s) didn't match pod affinity rules"),
    Cause::new(AREA, "node_affinity", Warn, TemplateAuthor, "The node does not match the template's node selector or affinity")
        .on(&[REASON.text(&["node affinity", "node selector", "matchnodeselector", "didn't match the requested hostname", "didn't match the requested node name"])])
        .says("{n} {does|do} not match the template's node selector or affinity", CHANGE_PLACE)
        .seen("FailedScheduling", "1 node(s) didn't match Pod's node affinity/selector"),
    Cause::new(AREA, "taint_unnamed", Warn, Administrator, "The node has a taint that is not named")
        .on(&[REASON.text(&["untolerated taint(s)", "had taints that the pod", "podtoleratesnodetaints"])])
        .says("{n} {is|are} closed to the workspace by a taint: reserved for other work, not ready, or in trouble", "Kubernetes keeps trying; if it stays so, your administrator can see which taint it is.")
        .seen("FailedScheduling", "1 node(s) had untolerated taint(s)"),
    Cause::new(AREA, "taint", Warn, TemplateAuthor, "The node is reserved for other work")
        .on(&[REASON.text(&["taint {*}"])])
        .says("{n} {is|are} reserved for other work{taint}", "If the workspace should run there, the template's author must add a toleration.")
        .seen("FailedScheduling", "1 node(s) had untolerated taint {gpu: yes}"),
    Cause::new(AREA, "no_nodes", Warn, Administrator, "The cluster has no node")
        .on(&[REASON.text(&["no nodes available to schedule pods", "no nodes available"])])
        .says("The cluster has no node at the moment", "It may be starting one; if it stays so, tell your administrator.")
        .seen("FailedScheduling", "no nodes available to schedule pods"),
    Cause::new(AREA, "scheduling_gate", Warn, Administrator, "A queue or gate holds the workspace back")
        .on(&[REASON.text(&["scheduling gates", "schedulinggated", "podgroup", "pod group", "tasks in gang", "can possibly be assigned to", "waiting on permit"]),
            EVENT.reason(&["SchedulingGated", "PodGroupPending", "QuotaReserved", "Suspended"]),
            EVENT.reason(&["Pending", "Unschedulable"]).text(&["gate", "queue", "gang", "pod group", "quota", "flavor", "workload"]),])
        .says("The workspace waits in a queue of the cluster (a scheduling gate) and is not placed before that lets it through", "If it takes long, ask your administrator.")
        .seen("FailedScheduling", "Scheduling is blocked due to non-empty scheduling gates"),
    Cause::new(AREA, "unschedulable", Warn, Administrator, "No node takes the workspace, for another reason")
        .on(&[REASON.text(&["failed to schedule", "failed to fit", "node(s)", "node is", "assumepod failed"])])
        .says("{n} {does|do} not fit, for the reason in the message", "Kubernetes keeps trying; if it stays so, show them to your administrator.")
        .seen("FailedScheduling", "1 node(s) didn't satisfy plugin(s) [Example] simultaneously"),
];

/// Texts before the list of reasons: of the scheduler, of Volcano, and of Kubernetes before 1.12 and before 1.8.
const LISTS: [&str; 5] = [
    "nodes are available: ",
    "nodes are unavailable: ",
    "following predicates:: ",
    "of the predicates: ",
    "fit failure summary on nodes : ",
];

/// Returns the entry for a reason that no other one recognizes.
pub(super) fn other() -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| cause.id == "unschedulable")
}

/// Returns the reasons in a scheduler's message, each with its number of nodes if that is known. Preemption is a reason
/// only if pods are being ended to make room.
pub(crate) fn reasons(message: &str) -> Vec<(Option<u32>, String)> {
    let (main, preemption) = message.split_once("preemption: ").unwrap_or((message, ""));
    let list = LISTS.iter().find_map(|before| main.split_once(before));
    let mut found = match list {
        Some((_, list)) => groups(list),
        None => vec![(None, main.trim().trim_end_matches('.').to_owned())],
    };
    // Kubernetes before 1.20 counts a node under both reasons, and the second one shows which of the two applies.
    if found.iter().any(|(_, reason)| reason.ends_with("affinity rules") && !reason.contains('/')) {
        found.retain(|(_, reason)| !reason.contains("affinity/anti-affinity"));
    }
    if is_preemption(preemption) {
        found.push((None, preemption.trim().to_owned()));
    }
    found
}

/// Returns true if the text reports that pods are being ended to make room.
pub(crate) fn is_preemption(text: &str) -> bool {
    ["found a potential placement", "not eligible due to a terminating pod"].iter().any(|words| text.contains(words))
}

/// Splits a list:
/// `1 Insufficient cpu, 2 node(s) had taint {a: b}, that the pod didn't tolerate. no new claims to deallocate,`
fn groups(list: &str) -> Vec<(Option<u32>, String)> {
    let list = list.split(". ").next().unwrap_or(list).trim().trim_end_matches(['.', ',']);
    let mut groups = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in list.char_indices().chain([(list.len(), ',')]) {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 || at == list.len() => {
                groups.extend(group(list[start..at].trim()));
                start = (at + 1).min(list.len());
            }
            _ => {}
        }
    }
    groups
}

fn group(text: &str) -> Option<(Option<u32>, String)> {
    if text.is_empty() || text.starts_with("that the pod didn't tolerate") {
        return None;
    }
    // `Insufficient cpu (3)` before Kubernetes 1.12.
    if let Some((reason, number)) = text.rsplit_once(" (")
        && let Some(number) = number.strip_suffix(')').and_then(|number| number.parse().ok())
    {
        return Some((Some(number), reason.to_owned()));
    }
    match text.split_once(' ').map(|(number, reason)| (number.parse::<u32>(), reason)) {
        Some((Ok(0), _)) => None,
        Some((Ok(number), reason)) => Some((Some(number), reason.to_owned())),
        _ => Some((None, text.to_owned())),
    }
}

/// Fills in an entry's sentence for this number of nodes: `{n}`, `{one|many}` and `{taint}`.
pub(super) fn phrase(sentence: &str, nodes: Option<u32>, reason: &str) -> String {
    let one = nodes == Some(1);
    let mut out = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        out.push_str(before);
        match (name, name.split_once('|')) {
            ("n", _) => {
                out.push_str(&nodes.map_or_else(
                    || "nodes".to_owned(),
                    |number| format!("{number} node{}", if one { "" } else { "s" }),
                ));
            }
            (_, Some((singular, plural))) => out.push_str(if one { singular } else { plural }),
            ("taint", _) => out.push_str(&taint(reason)),
            _ => {
                out.push('{');
                out.push_str(name);
                out.push('}');
            }
        }
        rest = after;
    }
    out + rest
}

/// Formats the taint in a reason: ` (taint gpu: yes)`
fn taint(reason: &str) -> String {
    let taint = reason.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(taint, _)| taint);
    taint.map_or_else(String::new, |taint| format!(" (taint {})", taint.trim_end_matches([':', ' '])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_apart_in_old_and_new_wording() {
        let found =
            |message| reasons(message).into_iter().map(|(n, reason)| format!("{n:?} {reason}")).collect::<Vec<_>>();
        assert_eq!(
            found(
                "0/4 nodes are available: 1 node(s) had taint {a: b}, that the pod didn't tolerate, 3 Insufficient cpu. \
                 preemption: 0/4 nodes are available: 4 No preemption victims found for incoming pod."
            ),
            ["Some(1) node(s) had taint {a: b}", "Some(3) Insufficient cpu"]
        );
        assert_eq!(
            found(
                "0/2 nodes are available: 1 Insufficient cpu, 1 Too many pods. no new claims to deallocate, preemption: x"
            ),
            ["Some(1) Insufficient cpu", "Some(1) Too many pods"]
        );
        assert_eq!(
            found(
                "No nodes are available that match all of the following predicates:: Insufficient cpu (3), PodToleratesNodeTaints (1)."
            ),
            ["Some(3) Insufficient cpu", "Some(1) PodToleratesNodeTaints"]
        );
        assert_eq!(
            found("persistentvolumeclaim \"home\" not found"),
            ["None persistentvolumeclaim \"home\" not found"]
        );
        assert_eq!(
            found(
                "0/1 nodes are available: 1 Insufficient cpu. preemption: found a potential placement for pod on node n, preempting 1 victims"
            )[1],
            "None found a potential placement for pod on node n, preempting 1 victims"
        );
    }
}
