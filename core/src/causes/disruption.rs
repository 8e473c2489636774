//! The pod is removed by the cluster, or ended as a whole.

use super::{
    Actor::{Administrator, Nobody, Owner, TemplateAuthor},
    Area::Disruption as AREA,
    Cause,
    pattern::Pattern,
    symptom::Topic,
};
use crate::line::Level::{Debug, Error, Warn};

const TAKEN: Pattern = Pattern::of(Topic::Disruption);
const FAILED: Pattern = Pattern::of(Topic::PodFailed);
const EVENT: Pattern = Pattern::of(Topic::Event);

const AGAIN: &str = "If the workspace does not come back by itself, start it again.";

pub(super) static CAUSES: &[Cause] = &[
    Cause::new(AREA, "evicted_own_limit", Error, Owner, "The workspace used more temporary disk space than its limit")
        .on(&[TAKEN.text(&["exceeds the limit", "exceeds the total limit", "exceeded its local ephemeral", "exceeds its limit", "ephemeral local storage usage exceeds"])])
        .says("The workspace used more temporary disk space than its limit allows.", "Keep large files in its home volume, or ask the template's author for a higher limit.")
        .seen("Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi."),
    Cause::new(AREA, "evicted_on_arrival", Error, Administrator, "The node is under pressure and takes no pod")
        .on(&[TAKEN.text(&["node had condition: [?]", "node had condition"])])
        .says("The node is low on memory, disk space or process IDs ({1}) and does not keep the workspace.", "Start the workspace again; if it happens often, tell your administrator.")
        .seen("Evicted", "The node had condition: [DiskPressure]."),
    Cause::new(AREA, "evicted_memory", Error, Owner, "The node ran out of memory")
        .on(&[TAKEN.text(&["low on resource: memory", "low on resource: [memorypressure"])])
        .says("The node ran out of memory and ended the workspace's pod.", "Start the workspace again; if it happens often, the template should request as much memory as the workspace uses.")
        .seen("Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi."),
    Cause::new(AREA, "evicted_inodes", Error, Administrator, "The node ran out of inodes")
        .on(&[TAKEN.text(&["low on resource: inodes"])])
        .says("The node ran out of inodes: it holds too many small files.", "Start the workspace again; if it happens often, tell your administrator.")
        .seen("Evicted", "The node was low on resource: inodes."),
    Cause::new(AREA, "evicted_disk", Error, Administrator, "The node ran out of disk space")
        .on(&[TAKEN.text(&["low on resource: ephemeral-storage", "low on resource: nodefs", "low on resource: imagefs", "low on resource: containerfs", "low on resource: [diskpressure"])])
        .says("The node ran out of disk space and ended the workspace's pod.", "Start the workspace again; if it happens often, tell your administrator.")
        .seen("Evicted", "The node was low on resource: ephemeral-storage."),
    Cause::new(AREA, "evicted_pids", Error, Administrator, "The node ran out of process IDs")
        .on(&[TAKEN.text(&["low on resource: pids", "low on resource: [pidpressure"])])
        .says("The node ran out of process IDs: too many processes run on it.", "Start the workspace again; if it happens often, tell your administrator.")
        .seen("Evicted", "The node was low on resource: pids."),
    Cause::new(AREA, "consolidation", Error, Administrator, "Karpenter or the autoscaler saves nodes")
        .on(&[
            TAKEN.reason(&["Evicted", "EvictionByEvictionAPI"]).text(&["evicted pod: underutilized", "evicted pod: empty", "evicted pod: *consolidat", "node scale down"]),
            EVENT.reason(&["Disrupted", "DisruptionTerminating", "Consolidated", "Underutilized"]),
            EVENT.reason(&["ScaleDown"]),
            EVENT.text(&["deleting pod for node scale down", "pod for node scale down"]),
        ])
        .says("Its node is being removed to save cost, as the workspaces fit on fewer nodes.", "If the workspace does not come back by itself, start it again; if it happens often, ask your administrator to exempt workspaces.")
        .seen("Evicted", "Evicted pod: Underutilized"),
    Cause::new(AREA, "spot_interruption", Error, Nobody, "The cloud takes its spot node back")
        .on(&[TAKEN.text(&["evicted pod: spotinterrupt", "evicted pod: *interrupt", "spot interruption"])])
        .says("The cloud takes back the (spot) node that runs the workspace.", AGAIN)
        .seen("Evicted", "Evicted pod: SpotInterrupted"),
    Cause::new(AREA, "node_replaced", Error, Administrator, "Its node is being replaced")
        .on(&[TAKEN.reason(&["Evicted"]).text(&["evicted pod"])])
        .says("Its node is being removed or replaced by another one.", AGAIN)
        .seen("Evicted", "Evicted pod: Drifted"),
    Cause::new(AREA, "drained", Error, Administrator, "It is evicted, usually from a node that is drained")
        .on(&[TAKEN.reason(&["EvictionByEvictionAPI"]), TAKEN.text(&["eviction api"])])
        .says("It was evicted, usually because its node is drained for an upgrade or to save nodes.", AGAIN)
        .seen("EvictionByEvictionAPI", "Eviction API: evicting"),
    Cause::new(AREA, "taint_manager", Error, Administrator, "Its node does not answer or was closed to it")
        .on(&[
            TAKEN.reason(&["DeletionByTaintManager"]),
            EVENT.reason(&["TaintManagerEviction"]).text(&["marking for deletion"]),
        ])
        .says("Its node does not answer or was closed to it by a taint.", "If the workspace does not come back by itself, start it again; if it happens often, ask your administrator.")
        .seen("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"),
    Cause::new(AREA, "taint_manager_cancelled", Debug, Nobody, "The pod stays after all")
        .on(&[EVENT.reason(&["TaintManagerEviction"]).text(&["cancelling deletion"])])
        .says("Its node answers again: the pod stays.", "")
        .seen("TaintManagerEviction", "Cancelling deletion of Pod team/ws-1"),
    Cause::new(AREA, "preempted", Error, Administrator, "A pod of higher priority took its place")
        .on(&[TAKEN.reason(&["PreemptionByScheduler", "PreemptionByKubeScheduler"]), EVENT.reason(&["Preempted"]), FAILED.reason(&["Preempting"]), EVENT.reason(&["Preempting"]), TAKEN.text(&["preempted by", "preempting to accommodate"])])
        .says("A pod of higher priority took its place.", "If the workspace does not come back by itself, start it again; ask your administrator if it happens often.")
        .seen("PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod"),
    Cause::new(AREA, "pod_gc", Error, Administrator, "Its node does not exist any more")
        .on(&[TAKEN.reason(&["DeletionByPodGC"]), TAKEN.text(&["podgc", "node no longer exists"])])
        .says("Its node does not exist any more.", AGAIN)
        .seen("DeletionByPodGC", "PodGC: node no longer exists"),
    Cause::new(AREA, "device_taint", Error, Administrator, "Its device was taken out of service")
        .on(&[TAKEN.reason(&["DeletionByDeviceTaintManager"]), EVENT.reason(&["DeviceTaintManagerEviction"]).text(&["marking for deletion"])])
        .says("A device that the workspace uses was taken out of service.", AGAIN)
        .seen("DeletionByDeviceTaintManager", "Device Taint manager: deleting due to NoExecute taint"),
    Cause::new(AREA, "node_shutdown", Error, Nobody, "Its node shuts down")
        .on(&[
            FAILED.reason(&["Terminated", "NodeShutdown", "Shutdown"]),
            FAILED.text(&["node shutdown", "node shutting down", "imminent node shutdown"]),
            TAKEN.text(&["node shutdown", "node is shutting down"]),
        ])
        .says("Its node shuts down or restarts.", AGAIN)
        .seen("Terminated", "Pod was terminated in response to imminent node shutdown."),
    Cause::new(AREA, "node_lost_pod", Error, Administrator, "Its node was lost")
        .on(&[FAILED.reason(&["NodeLost"]), FAILED.text(&["node which was running pod"])])
        .says("The node that ran the workspace does not answer any more.", AGAIN)
        .seen("NodeLost", "Node node-1 which was running pod ws-1 is unresponsive"),
    Cause::new(AREA, "evicted", Error, Administrator, "The cluster takes the pod away, for another reason")
        .on(&[TAKEN, EVENT.reason(&["Descheduled", "EvictedByVPA"]), EVENT.raw(&["by sigs.k8s.io/descheduler"])])
        .says("The cluster takes the workspace's pod away.", AGAIN)
        .seen("Evicted", "something of this cluster"),
    Cause::new(AREA, "active_deadline", Error, TemplateAuthor, "The pod ran longer than it may")
        .on(&[FAILED.reason(&["DeadlineExceeded"]), FAILED.text(&["longer than the specified deadline", "longer than specified deadline"])])
        .says("The pod ran longer than the template allows (activeDeadlineSeconds).", "The template's author must raise or remove that limit.")
        .seen("DeadlineExceeded", "Pod was active on the node longer than the specified deadline"),
    Cause::new(AREA, "node_out_of_resource", Error, Nobody, "The node has too little left for the pod")
        .on(&[
            FAILED.text(&["didn't have enough resource: ?, requested", "didn't have enough capacity: ?, requested", "didn't have enough"]),
            FAILED.reason(&["OutOf*"]),
        ])
        .says("The node had too little{ 1} left when the workspace arrived there.", AGAIN)
        .seen("OutOfcpu", "Node didn't have enough resource: cpu, requested: 64000, used: 125, capacity: 2000"),
    Cause::new(AREA, "topology_affinity", Error, Administrator, "The node cannot give CPUs and devices that lie together")
        .on(&[FAILED.reason(&["TopologyAffinityError", "TopologyAffinity*", "SMTAlignmentError"]), FAILED.reason(&["UnexpectedAdmissionError"]).text(&["[memorymanager]", "[cpumanager]", "not enough cpus available"])])
        .says("The node cannot give the workspace CPUs, memory and devices that lie together.", "Start the workspace again; if it happens often, tell your administrator.")
        .seen("TopologyAffinityError", "Resources cannot be allocated with Topology locality"),
    Cause::new(AREA, "device_unavailable", Error, Administrator, "The device is not available on the node")
        .on(&[FAILED.reason(&["UnexpectedAdmissionError"]).text(&["devices unavailable for ?. requested", "unregistered device ?,", "unhealthy devices ?,", "devices unavailable", "allocate failed"])])
        .says("The node could not give the workspace its device{q1}, such as a GPU.", "Start the workspace again; if it happens often, tell your administrator.")
        .seen("UnexpectedAdmissionError", "Allocate failed due to requested number of devices unavailable for nvidia.com/gpu. Requested: 1, Available: 0, which is unexpected"),
    Cause::new(AREA, "node_changed", Error, Nobody, "The node does not match the template any more")
        .on(&[FAILED.reason(&["NodeAffinity", "NodeName", "NodePorts", "NodeUnschedulable", "TaintToleration", "PodOSSelectorNodeLabelDoesNotMatch", "PodOSNotSupported", "PodFeatureUnsupported", "InvalidNodeInfo", "InitContainerRestartForbidden"])])
        .says("The node does not match what the template asks for, or its port is taken: it may have changed while the workspace was on its way.", AGAIN)
        .seen("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"),
    Cause::new(AREA, "sysctl_forbidden", Error, TemplateAuthor, "The node does not allow a kernel setting")
        .on(&[FAILED.reason(&["SysctlForbidden", "ForbiddenSysctl"]), FAILED.text(&["sysctl"])])
        .says("The node does not allow a kernel setting (sysctl) that the template asks for.", "The template's author must remove it, or an administrator must allow it on the nodes.")
        .seen("SysctlForbidden", "forbidden sysctl: \"net.core.somaxconn\" not allowlisted"),
    Cause::new(AREA, "node_apparmor", Error, Administrator, "The node does not have AppArmor or the profile")
        .on(&[FAILED.reason(&["AppArmor"]), FAILED.text(&["apparmor"])])
        .says("The node does not have AppArmor, or not the profile that the template names.", "An administrator must install it, or the template's author must remove it.")
        .seen("AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"),
    Cause::new(AREA, "node_admission", Error, Administrator, "The node refuses the pod, for another reason")
        .on(&[FAILED.reason(&["UnexpectedAdmissionError"]), FAILED.text(&["predicate ", "pod was rejected", "admission"])])
        .says("The node refused the workspace's pod; the message says why.", "Start the workspace again; if it happens often, show it to your administrator.")
        .seen("UnexpectedAdmissionError", "something of this node"),
    Cause::new(AREA, "disruption_blocked", Warn, Nobody, "Its node is to be removed, and something prevents it")
        .on(&[EVENT.reason(&["FailedDraining"])])
        .says("Its node is to be removed, which waits for the workspace or a rule that protects it.", "")
        .seen("FailedDraining", "Failed to drain node, 1 pods are waiting to be evicted"),
];
