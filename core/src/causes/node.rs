//! The pod's sandbox and network, and Events of its node.

use super::{
    Actor::{Administrator, Nobody, TemplateAuthor},
    Area::Node as AREA,
    Cause,
    pattern::Pattern,
    symptom::Topic,
};
use crate::line::Level::{Debug, Error, Warn};

const SANDBOX: Pattern = Pattern::of(Topic::Sandbox);
const CONTAINER: Pattern = Pattern::of(Topic::Container);
const EVENT: Pattern = Pattern::of(Topic::Event);

/// Messages of runtimes, in old and new wording, for a sandbox that fails because of its network.
const NETWORK: &[&str] = &[
    "network for sandbox",
    "network for pod",
    "network sandbox",
    "networkplugin",
    "plugin type=",
    "cni network",
    "cni plugin",
    "cni request",
    "cni failed",
];

pub(super) static CAUSES: &[Cause] = &[
    Cause::new(AREA, "sandbox_recreated", Debug, Nobody, "The pod's sandbox is made anew")
        .on(&[SANDBOX.reason(&["SandboxChanged"])])
        .says("The pod's environment on the node was lost, perhaps as the node restarted, and is made anew.", "")
        .seen("SandboxChanged", "Pod sandbox changed, it will be killed and re-created."),
    Cause::new(AREA, "runtime_handler", Error, Administrator, "The node lacks the RuntimeClass's runtime")
        .on(&[SANDBOX.text(&["no runtime for ? is configured", "no runtime for ?", "runtimehandler ? not supported", "runtime handler ? not found", "failed to find runtime handler ? from", "failed to find runtime handler ?", "runtimeclass ? not found"])])
        .says("The node does not have the container runtime{q1} of the RuntimeClass that the template names.", "An administrator must install it, or the template's author must choose nodes that have it.")
        .seen("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = unable to get OCI runtime for sandbox \"a1\": no runtime for \"sysbox-runc\" is configured"),
    Cause::new(AREA, "container_isolation", Error, Administrator, "The node's runtime cannot isolate the pod as asked")
        .on(&[
            SANDBOX.text(&["ids in user namespace", "support user namespaces", "user namespaces are not supported", "idmap mount", "id-mapped mount"]),
            CONTAINER.text(&["id mappings", "id-mapped mount", "idmapped mount", "idmap mount", "mount_attr_idmap", "newuidmap", "newgidmap", "user namespace"]),
            CONTAINER.raw(&[
                "mounting \"proc\" to rootfs",
                "mounting \\\"proc\\\" to rootfs",
                "mounting \"sysfs\" to rootfs",
                "mounting \\\"sysfs\\\" to rootfs",
            ]),
        ])
        .says(
            "The node's container runtime could not set up a user namespace for the pod, or its own /proc and /sys.",
            "An administrator must check the node's runtime and kernel; the template's author can do without hostUsers: false or the RuntimeClass.",
        )
        .seen("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = not enough unused IDs in user namespace"),
    Cause::new(AREA, "memory_too_low_to_start", Error, TemplateAuthor, "The memory limit is too low to start")
        .on(&[SANDBOX.text(&["oom-killed", "memory limit too low", "minimum memory limit", "set memory limit * too low"]),
            CONTAINER.text(&["oom-killed", "memory limit too low", "minimum memory limit", "set memory limit * too low", "container init was oom"]),])
        .says("The memory limit is too low to start even an empty container.", "The template's author must raise it (a number without a unit is in bytes).")
        .seen("FailedCreatePodSandBox", "Failed to create pod sandbox: runc create failed: unable to start container process: container init was OOM-killed (memory limit too low?)"),
    Cause::new(AREA, "sandbox_image", Error, Administrator, "The node cannot pull its own sandbox image")
        .on(&[SANDBOX.text(&["failed to get sandbox image", "sandbox image", "pause image"]), SANDBOX.raw(&["pulling image \"*pause:", "pull image \"*pause:"])])
        .says("The node cannot pull the image that it needs itself for each pod (pause).", "Tell your administrator.")
        .seen("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox image \"registry.k8s.io/pause:3.10\": failed to pull image: dial tcp: i/o timeout"),
    Cause::new(AREA, "sandbox_no_space", Error, Administrator, "The node has no disk space for the pod")
        .on(&[SANDBOX.text(&["no space left on device", "disk quota exceeded"])])
        .says("The node has no disk space left.", "An administrator must make room; starting the workspace again may find another node.")
        .seen("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = mkdir /run/containerd/x: no space left on device"),
    Cause::new(AREA, "network_no_address", Warn, Administrator, "The node has no free network address")
        .on(&[SANDBOX.text(&[
            "no ip addresses available",
            "failed to assign an ip address",
            "no available ip",
            "no addresses available",
            "no more ips",
            "ip pool exhausted",
            "no ip available",
            "out of ip",
            "failed to allocate for range",
            "insufficientfreeaddresses",
            "insufficientcidrblocks",
            "insufficient*addresses",
            "no free ips",
            "no available addresses",
            "range is full",
            "cannot allocate new block",
            "no unallocated ips",
            "unable to allocate ip",
            "all pools exhausted",
            "ips are exhausted",
            "not enough ips available",
            "ipnotenough",
            "not enough ipaddress",
            "no more free affine blocks",
            "failed to request ipv4 addresses",
        ])])
        .says("The node has no free network address for the pod.", "Kubernetes tries again by itself; if it goes on, an administrator must give the nodes more addresses.")
        .seen("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"a1\": plugin type=\"aws-cni\" name=\"aws-cni\" failed (add): add cmd: failed to assign an IP address to container"),
    Cause::new(AREA, "network_definition", Error, TemplateAuthor, "The additional network does not exist (Multus)")
        .on(&[SANDBOX.text(&["cannot find a network-attachment-definition ?", "cannot find a network-attachment", "network-attachment-definitions.k8s.cni.cncf.io ? not found", "networkattachmentdefinition ? not found"])])
        .says("The additional network that the template asks for (Multus) does not exist or cannot be joined.", "The template's author must correct its name, or an administrator must create it.")
        .seen("FailedCreatePodSandBox", "Failed to create pod sandbox: plugin type=\"multus\" name=\"multus-cni-network\" failed (add): Multus: [team/ws-1]: error loading k8s delegates k8s args: TryLoadPodDelegates: error in getting k8s network for pod: GetNetworkDelegates: failed getting the delegate: getKubernetesDelegate: cannot find a network-attachment-definition (storage) in namespace (team)"),
    Cause::new(AREA, "runtime_down", Warn, Administrator, "The node's container runtime has trouble")
        .on(&[SANDBOX.raw(&["containerd.sock", "crio.sock", "cri-dockerd.sock", "docker.sock"]),
            SANDBOX.text(&["cannot connect to the docker daemon", "failed to start shim", "failed to reserve sandbox name", "code = deadlineexceeded desc = context deadline exceeded", "is reserved for", "name is reserved", "runtime not up", "operation timeout: context deadline exceeded"]),
            EVENT.reason(&["FailedSync"]).text(&["code = deadlineexceeded", "code = unavailable"]),])
        .says("The node's container runtime does not answer or fails.", "Kubernetes tries again by itself; if it goes on, tell your administrator.")
        .seen("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: no such file or directory\""),
    Cause::new(AREA, "network_not_ready", Warn, Administrator, "The node's network is not ready")
        .on(&[SANDBOX.text(&["cni plugin not initialized", "cni config uninitialized", "network is not ready", "networkpluginnotready", "failed to find plugin", "failed to load cni", "no networks found in", "is the agent running", "readinessindicator"]),
            SANDBOX.with(NETWORK).text(&["dial unix", "connection refused", "connect: no such file", "cni request", "subnetenv failed", "check that the calico", "unauthorized", "context deadline exceeded", "i/o timeout", "timed out", "code = unavailable", "no such file or directory"]),])
        .says("The node's network (CNI) is not ready, or does not answer.", "Kubernetes tries again by itself, and it is usual on a new node; if it goes on for minutes, tell your administrator.")
        .seen("NetworkNotReady", "network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"),
    Cause::new(AREA, "host_port_taken", Error, TemplateAuthor, "The port is taken on the node")
        .on(&[SANDBOX.text(&["address already in use", "port is already allocated", "cannot open hostport"])])
        .says("The port of the node that the template asks for (hostPort) is in use.", "Only one such workspace fits on a node: the template's author should not use hostPort.")
        .seen("FailedCreatePodSandBox", "Failed to create pod sandbox: cannot open hostport 8080: address already in use"),
    Cause::new(AREA, "network_setup", Warn, Administrator, "The pod's network cannot be set up")
        .on(&[SANDBOX.with(NETWORK), SANDBOX.text(&["cni0"])])
        .says("The node could not set up the pod's network; the message says why.", "Kubernetes tries again by itself; if it goes on, tell your administrator.")
        .seen("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"a1\": plugin type=\"bridge\" failed (add): failed to set bridge addr: \"cni0\" already has an IP address different from 10.88.0.1/30"),
    Cause::new(AREA, "sandbox", Warn, Administrator, "The pod's sandbox cannot be made, for another reason")
        .on(&[SANDBOX.reason(&["FailedCreatePodSandBox", "FailedPodSandBoxStatus"])])
        .says("The node could not set up the pod's sandbox.", "Kubernetes tries again by itself; if it goes on, show the message to your administrator.")
        .seen("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = something of this runtime"),
    Cause::new(AREA, "dns_config", Warn, Administrator, "The pod's DNS settings are not complete")
        .on(&[EVENT.reason(&["DNSConfigForming", "MissingClusterDNS", "CheckLimitsForResolvConf"])])
        .says("The pod's DNS settings were shortened, or the node gives none: names may not be found in it.", "The start goes on; tell your administrator if names are not found.")
        .seen("DNSConfigForming", "Nameserver limits were exceeded, some nameservers have been omitted"),
    Cause::new(AREA, "kubelet_sync", Warn, Administrator, "The node cannot prepare the pod")
        .on(&[
            EVENT.reason(&["FailedSync", "FailedCreatePodContainer", "FailedValidation", "FailedNodeDeclaredFeaturesCheck"]),
            CONTAINER.reason(&["Failed"]).text(&["error making pod data directories"]),
        ])
        .says("The node could not prepare the workspace's pod; the message says why.", "Kubernetes tries again by itself; if it goes on, show the message to your administrator.")
        .seen("FailedSync", "error determining status: rpc error: code = Unknown desc = malformed container status"),
    Cause::new(AREA, "dra_prepare", Warn, Administrator, "The node cannot prepare a device")
        .on(&[EVENT.reason(&["FailedPrepareDynamicResources"])])
        .says("The node could not prepare the device that the workspace asks for (ResourceClaim).", "Kubernetes tries again by itself; if it goes on, show the message to your administrator.")
        .seen("FailedPrepareDynamicResources", "Failed to prepare dynamic resources: NodePrepareResources failed for ResourceClaim gpu: device not found"),
    Cause::new(AREA, "node_lost", Warn, Administrator, "The workspace's node is not ready")
        .on(&[EVENT.reason(&["NodeNotReady", "NodeUnreachable", "NodeStatusUnknown"])])
        .says("The node that runs the workspace does not answer.", "Kubernetes waits for it; if it stays so, the workspace is ended there. Tell your administrator if it happens often.")
        .seen("NodeNotReady", "Node is not ready"),
    Cause::new(AREA, "node_removed", Error, Nobody, "The node was removed from the cluster")
        .on(&[EVENT.reason(&["RemovingNode", "DeletingNode"])])
        .says("The node that ran the workspace is no longer part of the cluster.", "The workspace starts again elsewhere if its template says so; otherwise start it again.")
        .seen("RemovingNode", "Node node-1 event: Removing Node node-1 from Controller"),
    Cause::new(AREA, "node_rebooted", Warn, Nobody, "The node was restarted")
        .on(&[EVENT.reason(&["Rebooted"])])
        .says("The node that runs the workspace was restarted.", "The workspace usually starts again there.")
        .seen("Rebooted", "Node node-1 has been rebooted, boot id: 2f5f"),
    Cause::new(AREA, "node_system_oom", Error, Administrator, "The node ran out of memory")
        .on(&[EVENT.reason(&["SystemOOM", "OOMKilling"])])
        .says("The node itself ran out of memory and ended a process, perhaps of the workspace.", "Start the workspace again; if it happens often, tell your administrator.")
        .seen("SystemOOM", "System OOM encountered, victim process: node, pid: 4711"),
    Cause::new(AREA, "node_pressure", Warn, Administrator, "The node is running out of something")
        .on(&[EVENT.reason(&["EvictionThresholdMet", "NodeHasDiskPressure", "NodeHasInsufficientMemory", "NodeHasInsufficientPID", "FreeDiskSpaceFailed", "ImageGCFailed", "DiskPressure", "MemoryPressure", "PIDPressure"])])
        .says("The node that runs the workspace is running out of memory, disk space or process IDs, and may end pods.", "Save your work; if it happens often, tell your administrator.")
        .seen("EvictionThresholdMet", "Attempting to reclaim memory"),
    Cause::new(AREA, "node_shutdown_coming", Warn, Nobody, "The node is about to go")
        .on(&[EVENT.reason(&["SpotInterruption", "SpotInterrupted", "SpotRebalanceRecommendation", "RebalanceRecommendation", "InstanceTerminating", "InstanceStopping", "InstanceUnhealthy", "ScheduledChange", "TerminatingOnInterruption", "Shutdown", "NodeShutdown", "PreemptScheduled", "TerminateScheduled", "RebootScheduled", "RedeployScheduled", "FreezeScheduled", "DisruptionLaunching", "DisruptionTerminating", "Disrupting", "Drain", "Draining", "Cordon", "DrainRequestBlocked", "CordonAndDrain", "DisruptionWaitingReadiness"])])
        .says("The node that runs the workspace is about to be taken away: an interruption by the cloud, an upgrade, or to save nodes.", "Save your work; the workspace may start again elsewhere.")
        .seen("SpotInterrupted", "Spot interruption warning was triggered"),
    Cause::new(AREA, "node_problem", Warn, Administrator, "The node has a fault")
        .on(&[EVENT.reason(&[
            "KernelOops",
            "KernelDeadlock",
            "TaskHung",
            "DockerHung",
            "UnregisterNetDevice",
            "ReadonlyFilesystem",
            "FilesystemIsReadOnly",
            "ContainerdUnhealthy",
            "DockerUnhealthy",
            "KubeletUnhealthy",
            "KubeletSetupFailed",
            "ContainerGCFailed",
            "CorruptDockerImage",
            "CorruptDockerOverlay2",
            "Frequent*",
            "Ext4Error",
            "Ext4Warning",
            "IOError",
            "MemoryReadError",
            "XfsHasShutdown",
            "CperHardwareErrorFatal",
        ])])
        .says("The node that runs the workspace reports a fault of its hardware, kernel or runtime.", "Save your work; tell your administrator if the workspace does not behave.")
        .seen("TaskHung", "task dockerd:1234 blocked for more than 120 seconds."),
];
