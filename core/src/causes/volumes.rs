//! Volumes and their claims.

use super::{
    Actor::{Administrator, Nobody, Owner, TemplateAuthor},
    Area::Volumes as AREA,
    Cause,
    pattern::Pattern,
    symptom::Topic,
};
use crate::line::Level::{Debug, Error, Warn};

const VOLUME: Pattern = Pattern::of(Topic::Volume);

pub(super) static CAUSES: &[Cause] = &[
    Cause::new(AREA, "volume_first_consumer", Debug, Nobody, "The volume is made once the pod has a node")
        .on(&[VOLUME.reason(&["WaitForFirstConsumer", "WaitForPodScheduled"])])
        .says("The volume is created once a node is chosen for the workspace.", "")
        .seen("WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
    Cause::new(AREA, "volume_provisioning", Debug, Nobody, "The volume is being made")
        .on(&[VOLUME.reason(&["ExternalProvisioning", "Provisioning"])])
        .says(
            "The workspace's volume is being created.",
            "If it stays so for minutes, the storage provisioner may not be running: ask your administrator.",
        )
        .seen(
            "ExternalProvisioning",
            "Waiting for a volume to be created either by the external provisioner 'ebs.csi.aws.com' or manually by the \
             system administrator.",
        ),
    Cause::new(AREA, "volume_progress", Debug, Nobody, "A step of preparing a volume")
        .on(&[
            VOLUME.reason(&["ProvisioningSucceeded", "SuccessfulAttachVolume", "AlreadyMountedVolume", "ExternalExpanding"]),
            VOLUME.reason(&["VolumePermissionChangeInProgress", "SetVolumeOwnership"]),
        ])
        .says("", "")
        .seen("SuccessfulAttachVolume", "AttachVolume.Attach succeeded for volume \"pvc-1\""),
    Cause::new(AREA, "claim_lost_volume", Error, Administrator, "The claim has lost its volume")
        .on(&[VOLUME.reason(&["ClaimLost", "ClaimMisbound"])])
        .says("The volume behind the workspace's claim does not exist any more, or belongs to another claim; its data may be lost.", "Ask your administrator.")
        .seen("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!"),
    Cause::new(AREA, "storage_class_missing", Error, TemplateAuthor, "The StorageClass does not exist")
        .on(&[VOLUME.text(&["storageclass.storage.k8s.io ? not found", "storageclass ? not found", "storageclasses ? not found", "no volume plugin matched"]), Pattern::of(Topic::Scheduling).text(&["failed to find storage class ?"])])
        .says("The storage class{q1} that the template names does not exist in this cluster.", "The template's author must name another, or an administrator must create it.")
        .seen("ProvisioningFailed", "storageclass.storage.k8s.io \"fast\" not found"),
    Cause::new(AREA, "storage_class_none", Error, TemplateAuthor, "No storage class, and no volume fits")
        .on(&[VOLUME.reason(&["FailedBinding", "ProvisioningFailed"]).text(&["no storage class is set", "no persistent volumes available for this claim"])])
        .says("No existing volume fits the workspace's claim, and no storage class would create one.", "The template's author must name a storage class, or an administrator must set a default one.")
        .seen("FailedBinding", "no persistent volumes available for this claim and no storage class is set"),
    Cause::new(AREA, "volume_mismatch", Error, TemplateAuthor, "The claim and the volume that it names do not fit")
        .on(&[VOLUME.reason(&["FailedBinding", "VolumeMismatch"]).text(&["cannot bind to requested volume", "cannot bind persistentvolume", "already bound to a different claim"])])
        .says("The workspace's claim names a volume that does not fit it, or that belongs to another claim; the message says why.", "The template's author must correct the claim, or an administrator the volume.")
        .seen("VolumeMismatch", "Cannot bind to requested volume \"pv-1\": requested PV is too small"),
    Cause::new(AREA, "ephemeral_claim", Error, Owner, "The claim of an ephemeral volume belongs to another pod")
        .on(&[VOLUME.text(&["was not created for pod", "was not created for the pod"])])
        .says("The volume claim that the pod would create exists already, and belongs to another pod.", "If it stays so after the previous run has ended, ask your administrator.")
        .seen("FailedBinding", "ephemeral volume scratch: PVC team/ws-1-scratch was not created for pod team/ws-1 (pod is not owner)"),
    Cause::new(AREA, "volume_attach_limit", Warn, Administrator, "The node cannot attach more volumes")
        .on(&[VOLUME.text(&["attachmentlimitexceeded", "attachment limit", "maximum number of attached", "maximum number of data disks", "cannot attach more", "volume limit exceeded for instance", "no more available device names", "exceeds the maximum number of", "exceeded limit 'maximum_persistent_disks'", "maximum number of volumes"])])
        .says("The node has as many volumes attached as it can.", "Start the workspace again to get another node; if it happens often, tell your administrator.")
        .seen("FailedAttachVolume", "AttachVolume.Attach failed for volume \"pvc-1\": rpc error: code = ResourceExhausted desc = maximum number of attached volumes reached"),
    Cause::new(AREA, "storage_quota", Error, Administrator, "The storage has no room or its quota is used up")
        .on(&[VOLUME.reason(&["ProvisioningFailed", "VolumeResizeFailed"]).text(&[
            "resourceexhausted",
            "quota exceeded",
            "quotaexceeded",
            "quota_exceeded",
            "exceeded quota",
            "disk quota",
            "available quota",
            "availablequota",
            "quota '* exceeded",
            "gigabytes quota",
            "limit exceeded",
            "limitexceeded",
            "out of capacity",
            "insufficient capacity",
            "insufficient storage",
            "enough space",
            "enough free space",
            "insufficient free space",
            "maximum number of disks",
            "insufficient disk",
        ])])
        .says("The storage has no room for the volume, or its quota is used up.", "Ask your administrator for more, or choose a smaller volume.")
        .seen("ProvisioningFailed", "failed to provision volume with StorageClass \"gp3\": rpc error: code = ResourceExhausted desc = VolumeLimitExceeded: You have exceeded your maximum gp3 storage limit"),
    Cause::new(AREA, "storage_permission", Error, Administrator, "The storage driver lacks rights")
        .on(&[VOLUME.reason(&["ProvisioningFailed", "FailedAttachVolume", "ProvisioningCleanupFailed"]).text(&["unauthorizedoperation", "accessdenied", "access denied", "permissiondenied", "not authorized to", "does not have authorization", "forbidden", "unauthenticated", "statuscode=403", "statuscode: 403", "status code: 403", "code=403", "googleapi: error 403", "no ec2 imds"]),
            VOLUME.reason(&["ProvisioningFailed", "FailedAttachVolume"]).raw(&["\"authorizationfailed\"", "\"linkedauthorizationfailed\""]),])
        .says("The cluster's storage driver has no right to make or attach the volume.", "An administrator must give it the right.")
        .seen("ProvisioningFailed", "failed to provision volume with StorageClass \"gp3\": rpc error: code = Internal desc = Could not create volume: UnauthorizedOperation: You are not authorized to perform this operation"),
    Cause::new(AREA, "volume_multi_attach", Warn, Nobody, "The volume is still in use elsewhere")
        .on(&[VOLUME.text(&[
            "multi-attach",
            "already attached to",
            "already exclusively attached",
            "is already used by",
            "being detached",
            "current status is in-use",
            "already mounted or mount point busy",
            "is already being used",
            "already in use by",
            "volumeinuse",
            "volume is in use",
            "currently attached to",
            "resource_in_use",
            "resourceinuse",
            "attached to another",
            "already attached",
            "disk is still attached",
            "still being used",
            "rbd image * is still being used",
            "is not ready for workloads",
        ])])
        .says("The volume is still in use on another node, perhaps by the previous run of this workspace.", "It is freed once that pod is gone, which can take some minutes; if it stays so, ask your administrator.")
        .seen("FailedAttachVolume", "Multi-Attach error for volume \"pvc-1\" Volume is already used by pod(s) ws-0"),
    Cause::new(AREA, "volume_other_zone", Error, Administrator, "The volume is in another zone than the node")
        .on(&[VOLUME.text(&["is not in the same availability zone", "different zone", "invalidvolume.zonemismatch", "not in the same zone", "volume node affinity", "failing to satisfy topology", "is not in allowed topologies", "zone mismatch", "zones do not match"])])
        .says("The volume and the node are in different zones.", "Start the workspace again; if it stays so, ask your administrator.")
        .seen("FailedAttachVolume", "AttachVolume.Attach failed for volume \"pvc-1\": rpc error: code = Internal desc = InvalidVolume.ZoneMismatch: The volume 'vol-1' is not in the same availability zone as instance 'i-1'"),
    Cause::new(AREA, "csi_driver_missing", Warn, Administrator, "The node lacks the volume's driver")
        .on(&[VOLUME.text(&[
            "driver name ? not found in the list of registered csi drivers",
            "not found in the list of registered csi drivers",
            "csinode * does not contain driver ?",
            "does not contain driver",
            "no nodeid annotation",
            "cannot find nodeid for driver ?",
            "cannot find nodeid",
            "csi driver ? not found",
            "csidriver ? not found",
            "failed to get csi client",
            "failed to get plugin from volumespec",
            "no topology key",
            "no available topology",
            "topology labels from selected node",
        ]), VOLUME.raw(&["csi.sock: connect", "/csi.sock"])])
        .says("The node does not have the storage driver{q1} that the volume needs, or it is still starting.", "Kubernetes tries again by itself; if it goes on for minutes, tell your administrator.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"data\" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name files.csi.example.com not found in the list of registered CSI drivers"),
    Cause::new(AREA, "volume_cache", Warn, Nobody, "The node has not read a mounted Secret or ConfigMap yet")
        .on(&[VOLUME.text(&["object ? not registered", "failed to sync secret cache", "failed to sync configmap cache"])])
        .says("The node has not read the Secrets and ConfigMaps of the pod yet.", "Kubernetes tries again by itself.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"data\" : failed to sync configmap cache: timed out waiting for the condition"),
    Cause::new(AREA, "volume_token", Warn, Administrator, "The node gets no token for the pod's ServiceAccount")
        .on(&[VOLUME.text(&["failed to fetch token"])])
        .says("The node did not get the token of the workspace's ServiceAccount.", "Kubernetes tries again by itself; if it goes on, ask your administrator, as the ServiceAccount may be missing.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"kube-api-access\" : failed to fetch token: serviceaccounts \"workspace\" not found"),
    Cause::new(AREA, "volume_secret_missing", Error, TemplateAuthor, "A mounted Secret does not exist")
        .on(&[VOLUME.text(&["secret ? not found", "secrets ? not found"])])
        .says("The Secret{q1} that the template mounts does not exist in this namespace.", "The template's author or an administrator must create it.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"data\" : secret \"workspace-files\" not found"),
    Cause::new(AREA, "volume_configmap_missing", Error, TemplateAuthor, "A mounted ConfigMap does not exist")
        .on(&[VOLUME.text(&["configmap ? not found", "configmaps ? not found"])])
        .says("The ConfigMap{q1} that the template mounts does not exist in this namespace.", "The template's author or an administrator must create it.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"data\" : configmap \"workspace-files\" not found"),
    Cause::new(AREA, "volume_key_missing", Error, TemplateAuthor, "A mounted Secret or ConfigMap lacks a key")
        .on(&[VOLUME.text(&["references non-existent secret key: ?", "references non-existent config key: ?", "references non-existent"])])
        .says("The Secret or ConfigMap that the template mounts does not have the key{q1} that the template names.", "The template's author must correct the key, or an administrator must add it.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"data\" : references non-existent secret key: id_rsa"),
    Cause::new(AREA, "volume_claim_missing", Error, TemplateAuthor, "The volume claim does not exist")
        .on(&[VOLUME.text(&["persistentvolumeclaim ? not found", "persistentvolumeclaims ? not found", "pvc ? not found", "persistentvolume ? not found", "persistentvolumes ? not found"])])
        .says("The volume or claim{q1} that the template names does not exist.", "The template's author must create it or name another.")
        .seen("FailedMount", "Unable to attach or mount volumes: error processing PVC team/home: persistentvolumeclaims \"home\" not found"),
    Cause::new(AREA, "volume_pvc_pending", Warn, Owner, "The claim waits")
        .on(&[VOLUME.text(&["pvc is not bound"]), Pattern::of(Topic::Event).reason(&["ClaimPending"])])
        .says("The workspace's volume claim is not bound yet.", "If it stays so for minutes, ask your administrator.")
        .seen("FailedMount", "Unable to attach or mount volumes: error processing PVC team/home: PVC is not bound"),
    Cause::new(AREA, "volume_claim_deleted", Warn, Administrator, "The claim of a volume is being deleted")
        .on(&[VOLUME.text(&["pvc is being deleted"])])
        .says("The workspace's volume claim is being deleted.", "Stop the workspace and start it again; if it stays so, ask your administrator.")
        .seen("FailedMount", "Unable to attach or mount volumes: error processing PVC team/home: PVC is being deleted"),
    Cause::new(AREA, "volume_secret_store", Warn, Administrator, "A secret store refuses or does not answer")
        .on(&[VOLUME.text(&["secrets store objects", "failed to get secretproviderclass", "secretproviderclass.secrets-store"])])
        .says("The secret store that the template mounts from does not give its secret; the message says why.", "The template's author must check its name, an administrator the access to it.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"secrets\" : rpc error: code = Unknown desc = failed to mount secrets store objects for pod team/ws-1, err: rpc error: code = Unknown desc = failed to mount objects"),
    Cause::new(AREA, "volume_no_space", Error, Administrator, "No disk space is left for the volume")
        .on(&[VOLUME.text(&["no space left on device"])])
        .says("No disk space is left on the node or the volume.", "An administrator must make room; starting the workspace again may find another node.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"kube-api-access\" : write /var/lib/kubelet/x: no space left on device"),
    Cause::new(AREA, "volume_mount_tools", Error, Administrator, "The node lacks the program that mounts this kind of volume")
        .on(&[VOLUME.text(&["unknown filesystem type 'nfs", "unknown filesystem type 'cifs", "unknown filesystem type 'ceph", "unknown filesystem type 'gluster", "executable file not found in $path"]),
            VOLUME.raw(&["might need a /sbin/mount"]).without(&["-t ext", "-t xfs", "-t btrfs"]),])
        .says("The node lacks the program that mounts this kind of volume (such as nfs-common).", "An administrator must install it on the nodes.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"data\" : mount failed: exit status 32 Mounting command: mount Mounting arguments: -t nfs 10.0.0.9:/home /x Output: mount: /x: bad option; for several filesystems (e.g. nfs, cifs) you might need a /sbin/mount.<type> helper program."),
    Cause::new(AREA, "volume_filesystem", Error, Administrator, "The volume's file system is damaged or of another type")
        .on(&[VOLUME.text(&["'fsck' found errors", "run fsck manually", "wrong fs type", "unknown filesystem type", "bad superblock", "structure needs cleaning", "input/output error", "failed to format", "format of disk", "already contains a file system", "contains unknown data", "can't read superblock"]).without(&["-t nfs", "-t cifs", "rbd: map failed"])])
        .says("The volume's file system is damaged, or the node cannot read its type.", "Ask your administrator; the data may have to be repaired.")
        .seen("FailedMount", "MountVolume.MountDevice failed for volume \"pvc-1\" : rpc error: code = Internal desc = 'fsck' found errors on device /dev/nvme1n1 but could not correct them"),
    Cause::new(AREA, "volume_nfs", Warn, Administrator, "The file server does not answer or refuses the mount")
        .on(&[VOLUME.text(&["mount.nfs", "-t nfs", "mount.cifs", "-t cifs", "mount error(", "mount error:", "-t efs", "-t ceph", "-t glusterfs", "-t lustre", "rpc.statd", "no mds", "monclient", "rbd: map failed"]).without(&["error opening image"])])
        .says("The server of the volume's storage does not answer, or does not let this node mount it.", "Kubernetes tries again by itself; if it goes on, tell your administrator.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"data\" : mount failed: exit status 32 Mounting command: mount Mounting arguments: -t nfs 10.0.0.9:/export/home Output: mount.nfs: Connection timed out"),
    Cause::new(AREA, "volume_host_path", Error, TemplateAuthor, "A path of the node is missing or of another kind")
        .on(&[VOLUME.text(&["hostpath type check failed: ?", "hostpath type check failed, ?", ": path ? does not exist"])])
        .says("The node does not have the path{q1} that the volume is on, or it is of another kind (file, directory, socket).", "The template's author must correct it, or an administrator must prepare the nodes.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"data\" : hostPath type check failed: /tmp is not a file, it's a Directory"),
    Cause::new(AREA, "volume_subpath", Error, TemplateAuthor, "A subPath cannot be used")
        .on(&[VOLUME.text(&["failed to prepare subpath", "failed to create subpath", "subpath for volumemount"]), Pattern::of(Topic::Container).text(&["failed to prepare subpath", "failed to create subpath"])])
        .says("The part of a volume that the template mounts (subPath) cannot be used: it may be a file where a directory is needed.", "The template's author must correct the subPath, or the owner must move the file.")
        .seen("FailedMount", "failed to prepare subPath for volumeMount \"data\" of container \"dev\""),
    Cause::new(AREA, "volume_permission", Error, Administrator, "The mount is not permitted")
        .on(&[VOLUME.reason(&["FailedMount", "FailedMapVolume", "FailedAttachVolume"]).text(&["permission denied", "operation not permitted", "access denied", "read-only file system", "readonly file system"])])
        .says("The node may not mount the volume, or not in this way.", "Ask your administrator.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"data\" : mount failed: exit status 32: permission denied"),
    Cause::new(AREA, "volume_gone", Error, Administrator, "The storage does not know the volume")
        .on(&[VOLUME.reason(&["FailedAttachVolume", "FailedMount", "FailedMapVolume"]).text(&["volume ? not found", "volume not found", "disk ? not found", "disk not found", "resourcenotfound", "the volume ? does not exist", "the resource ? was not found", "resource not found", "invalidvolume.notfound", "vim.fault.notfound", "is not registered as", "volume attachment ? does not exist", "rbd: error opening image"]),
            VOLUME.reason(&["FailedAttachVolume"]).text(&["code = notfound"]),])
        .says("The storage does not have the volume, or the node does not see it.", "Ask your administrator.")
        .seen("FailedAttachVolume", "AttachVolume.Attach failed for volume \"pvc-1\" : rpc error: code = NotFound desc = volume vol-1 not found"),
    Cause::new(AREA, "volume_provisioning_failed", Error, Administrator, "The volume cannot be made")
        .on(&[VOLUME.reason(&["ProvisioningFailed", "FailedBinding", "VolumeMismatch", "ProvisioningCleanupFailed"])])
        .says("The workspace's volume could not be created; the message says why.", "The storage keeps trying; ask your administrator if it stays so.")
        .seen("ProvisioningFailed", "failed to provision volume with StorageClass \"standard\": something of this driver"),
    Cause::new(AREA, "volume_resize", Warn, Administrator, "The volume cannot be made larger")
        .on(&[VOLUME.reason(&["VolumeResizeFailed", "FileSystemResizeFailed", "FailedFlexExpansion"])])
        .says("The volume could not be made larger.", "Ask your administrator.")
        .seen("VolumeResizeFailed", "resize volume \"pvc-1\" by resizer failed: rpc error: code = Unimplemented"),
    Cause::new(AREA, "volume_attach_timeout", Warn, Administrator, "The volume cannot be attached yet")
        .on(&[VOLUME.reason(&["FailedAttachVolume"])])
        .says("The volume cannot be attached to the node yet.", "Kubernetes tries again by itself; if it goes on for minutes, tell your administrator.")
        .seen("FailedAttachVolume", "AttachVolume.Attach failed for volume \"pv-csi\" : timed out waiting for external-attacher of disk.csi.example.com CSI driver to attach volume vol-1"),
    Cause::new(AREA, "volume_timeout", Warn, Administrator, "The volumes are not ready in time")
        .on(&[VOLUME.reason(&["FailedMount", "FailedMapVolume"]).text(&["timed out waiting", "context deadline exceeded", "deadlineexceeded", "unable to attach or mount volumes", "timeout", "operation ? already", "already exists"])])
        .says("The workspace's volumes are not ready yet.", "Kubernetes tries again by itself; if it goes on for minutes, tell your administrator.")
        .seen("FailedMount", "Unable to attach or mount volumes: unmounted volumes=[home], unattached volumes=[home]: timed out waiting for the condition"),
    Cause::new(AREA, "volume_mount", Warn, Administrator, "A volume cannot be mounted, for another reason")
        .on(&[VOLUME.reason(&["FailedMount", "FailedMapVolume", "FailedUnMount"])])
        .says("A volume cannot be mounted yet.", "Kubernetes tries again by itself; if this stays, show the message to your administrator.")
        .seen("FailedMount", "MountVolume.SetUp failed for volume \"home\" : something of this driver"),
];
