//! The API server refuses the pod, or a claim of a StatefulSet: no pod ever exists.

use super::{
    Actor::{Administrator, Nobody, Owner, TemplateAuthor},
    Area::Refused as AREA,
    Cause,
    pattern::Pattern,
    symptom::Topic,
};
use crate::line::Level::{Error, Warn};

const REFUSED: Pattern = Pattern::of(Topic::Refused);

pub(super) static CAUSES: &[Cause] = &[
    Cause::new(AREA, "policy_kyverno", Error, TemplateAuthor, "A Kyverno policy denies the pod")
        .on(&[REFUSED.raw(&["webhook \"?kyverno?\" denied"])])
        .says(
            "A policy of the cluster (Kyverno) does not allow what the template asks for; its own words are in the message.",
            "The template's author must follow it, or an administrator must make an exception.",
        )
        .seen(
            "FailedCreate",
            "Error creating: admission webhook \"validate.kyverno.svc-fail\" denied the request: resource Pod/team/ws-1 was \
             blocked due to the following policies require-labels: check-team: 'validation error: label team is required'",
        ),
    Cause::new(AREA, "policy_gatekeeper", Error, TemplateAuthor, "A Gatekeeper constraint denies the pod")
        .on(&[REFUSED.raw(&["webhook \"?gatekeeper?\" denied", "webhook \"gatekeeper?\" denied"])])
        .says(
            "A policy of the cluster (Gatekeeper) does not allow what the template asks for; its own words are in the \
             message.",
            "The template's author must follow it, or an administrator must make an exception.",
        )
        .seen(
            "FailedCreate",
            "Error creating: admission webhook \"validation.gatekeeper.sh\" denied the request: [psp-privileged-container] \
             Privileged container is not allowed: dev",
        ),
    Cause::new(AREA, "policy_validating", Error, TemplateAuthor, "A ValidatingAdmissionPolicy denies the pod")
        .on(&[REFUSED.text(&["validatingadmissionpolicy ? with binding"])])
        .says(
            "The cluster's policy{q1} does not allow what the template asks for; its own words are in the message.",
            "The template's author must follow it, or an administrator must make an exception.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-…\" is forbidden: ValidatingAdmissionPolicy 'no-latest' with binding 'no-latest' \
             denied request: images must not use the tag latest",
        ),
    Cause::new(AREA, "policy_image", Error, TemplateAuthor, "An image policy denies the image")
        .on(&[REFUSED.text(&["image policy webhook backend denied"]), REFUSED.raw(&["webhook \"policy.sigstore.dev\" denied", "webhook \"imagepolicywebhook.image-policy.k8s.io\" denied", "webhook \"cosign", "webhook \"connaisseur", "webhook \"?ratify"])])
        .says(
            "The cluster allows only images that it trusts, and this one is not among them.",
            "The template's author must use another image or have it signed, or an administrator must allow it.",
        )
        .seen(
            "FailedCreate",
            "Error creating: admission webhook \"policy.sigstore.dev\" denied the request: validation failed: no matching \
             signatures",
        ),
    Cause::new(AREA, "policy_denied", Error, TemplateAuthor, "A webhook of the cluster denies the pod")
        .on(&[REFUSED.text(&["admission webhook ? denied the request"])])
        .says(
            "A policy of the cluster{q1} refused the pod; its own words are in the message.",
            "The template's author must follow it, or an administrator must make an exception.",
        )
        .seen("FailedCreate", "Error creating: admission webhook \"pods.example.com\" denied the request: no owner label"),
    Cause::new(AREA, "quota_exceeded", Error, Owner, "The namespace's quota is used up")
        .on(&[REFUSED.text(&["exceeded quota: ?,"])])
        .says(
            "The namespace's quota{q1} is used up{quota}.",
            "Stop a workspace you do not need, or ask your administrator to raise it.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-…\" is forbidden: exceeded quota: team, requested: pods=1, used: pods=3, \
             limited: pods=3",
        ),
    Cause::new(AREA, "quota_needs_resources", Error, TemplateAuthor, "The quota asks for requests or limits")
        .on(&[REFUSED.text(&["failed quota: ?: must specify", "failed quota: ?"])])
        .says(
            "The namespace's quota{q1} asks that each container sets the requests or limits that the message names.",
            "The template's author must set them.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-…\" is forbidden: failed quota: team: must specify limits.cpu for: dev; \
             limits.memory for: dev",
        ),
    Cause::new(AREA, "quota_scope", Error, TemplateAuthor, "The priority class needs a quota that is not there")
        .on(&[REFUSED.text(&["insufficient quota to match these scopes"])])
        .says(
            "Pods of this priority class need a quota for it in the namespace, and there is none.",
            "The template's author must choose another priorityClassName, or an administrator must add the quota.",
        )
        .seen(
            "FailedCreate",
            "Error creating: insufficient quota to match these scopes: [{PriorityClass In [system-node-critical \
             system-cluster-critical]}]",
        ),
    Cause::new(AREA, "limit_range_max", Error, TemplateAuthor, "More than the LimitRange's maximum")
        .on(&[REFUSED.text(&[
            "maximum ? usage per ? is ?, but limit is ?",
            "maximum ? usage per ? is ?, but request is ?",
            "maximum ? usage per ? is ?",
        ])])
        .says(
            "The template asks for more {1} than the namespace's LimitRange allows (at most {3} per {2}).",
            "Choose a smaller size for the workspace, or ask the template's author or an administrator.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-…\" is forbidden: maximum memory usage per Container is 100Mi, but limit is 1Gi",
        ),
    Cause::new(AREA, "limit_range_min", Error, TemplateAuthor, "Less than the LimitRange's minimum")
        .on(&[REFUSED.text(&["minimum ? usage per ? is ?, but", "minimum ? usage per ? is ?"])])
        .says(
            "The template asks for less {1} than the namespace's LimitRange demands (at least {3} per {2}).",
            "Choose a larger size for the workspace, or ask the template's author.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-…\" is forbidden: minimum cpu usage per Container is 100m, but request is 10m",
        ),
    Cause::new(AREA, "limit_range_ratio", Error, TemplateAuthor, "The limit is too far above the request")
        .on(&[REFUSED.text(&["is forbidden: ? max limit to request ratio per ? is", "max limit to request ratio", "limit to request ratio per"])])
        .says(
            "The template's{ 1} limit is more times its request than the namespace's LimitRange allows.",
            "The template's author must bring request and limit closer together.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-…\" is forbidden: cpu max limit to request ratio per Container is 2, but provided \
             ratio is 4.000000",
        ),
    Cause::new(AREA, "request_above_limit", Error, TemplateAuthor, "A request above its limit, or above the default limit")
        .on(&[REFUSED.text(&["invalid value: ?: must be less than or equal to ? limit of ?", "invalid value: ?: must be less than or equal to ? limit"])])
        .says(
            "A container's request{ 1} is above its{ 2} limit{ 3}. Where the template sets no limit, the \
             namespace's LimitRange gives a default one.",
            "The template's author must set a limit that is at least the request.",
        )
        .seen(
            "FailedCreate",
            "Error creating: Pod \"ws-1-…\" is invalid: spec.containers[0].resources.requests: Invalid value: \"4Gi\": must \
             be less than or equal to memory limit of 512Mi",
        ),
    Cause::new(AREA, "pod_security", Error, TemplateAuthor, "PodSecurity does not allow the pod")
        .on(&[REFUSED.text(&["violates podsecurity ?:", "violates podsecurity"])])
        .says(
            "The namespace's security level{q1} does not allow what the template asks for; the message lists it.",
            "The template's author must change it, or an administrator must choose another level for the namespace.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-…\" is forbidden: violates PodSecurity \"restricted:latest\": \
             allowPrivilegeEscalation != false (container \"dev\" must set \
             securityContext.allowPrivilegeEscalation=false)",
        ),
    Cause::new(AREA, "openshift_scc", Error, TemplateAuthor, "OpenShift's security context constraints do not allow the pod")
        .on(&[REFUSED.text(&["against any security context constraint"])])
        .says(
            "OpenShift's security context constraints (SCC) do not allow what the template asks for, such as its user ID, \
             a privileged container or a host path.",
            "The template's author must change that, or an administrator must grant an SCC to the workspace's \
             ServiceAccount.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-…\" is forbidden: unable to validate against any security context constraint: \
             [provider \"anyuid\": Forbidden: not usable by user or serviceaccount, provider restricted-v2: \
             .containers[0].runAsUser: Invalid value: 1000: must be in the ranges: [1000680000, 1000689999]]",
        ),
    Cause::new(AREA, "pod_security_policy", Error, TemplateAuthor, "No PodSecurityPolicy admits the pod (Kubernetes before 1.25)")
        .on(&[REFUSED.text(&["podsecuritypolicy: unable to", "unable to validate against any pod security policy", "no providers available to validate pod request"])])
        .says(
            "No PodSecurityPolicy of the cluster allows what the template asks for.",
            "The template's author must change it, or an administrator must allow it.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-…\" is forbidden: PodSecurityPolicy: unable to admit pod: \
             [spec.containers[0].securityContext.privileged: Invalid value: true]",
        ),
    Cause::new(AREA, "service_account_token", Warn, Nobody, "The ServiceAccount is not ready yet")
        .on(&[REFUSED.text(&["no api token found for service account ?", "no api token found"])])
        .says("The ServiceAccount{q1} was made a moment ago and is not ready.", "Kubernetes tries again by itself.")
        .seen(
            "FailedCreate",
            "Error creating: No API token found for service account \"default\", retry after the token is automatically \
             created and added to the service account",
        ),
    Cause::new(AREA, "service_account_missing", Error, TemplateAuthor, "The ServiceAccount does not exist")
        .on(&[REFUSED.text(&[
            "serviceaccount ? not found",
            "serviceaccounts ? not found",
            "error looking up service account ?:",
            "service account ? was not found",
            "service account ? does not exist",
        ])])
        .says(
            "The ServiceAccount{q1} that the template names does not exist in this namespace.",
            "An administrator must create it, or the template's author must name another.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-\" is forbidden: error looking up service account team/workspace: serviceaccount \
             \"workspace\" not found",
        ),
    Cause::new(AREA, "priority_class_missing", Error, TemplateAuthor, "The PriorityClass does not exist")
        .on(&[REFUSED.text(&["no priorityclass with name ? was found", "no priorityclass with name ?", "priorityclass* ? not found"])])
        .says(
            "The PriorityClass{q1} that the template names does not exist in this cluster.",
            "The template's author must name another, or an administrator must create it.",
        )
        .seen("FailedCreate", "Error creating: pods \"ws-1-\" is forbidden: no PriorityClass with name workspaces was found"),
    Cause::new(AREA, "runtime_class_conflict", Error, TemplateAuthor, "The template contradicts the RuntimeClass")
        .on(&[REFUSED.text(&["pod rejected: conflict: runtimeclass", "runtimeclassname ?", "runtimeclass.overhead"])])
        .says(
            "The template's node selector, tolerations or overhead contradict those of its RuntimeClass.",
            "The template's author must remove them.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-\" is forbidden: pod rejected: conflict: runtimeClass.scheduling.nodeSelector[sandbox] = \
             gvisor; pod.spec.nodeSelector[sandbox] = kata",
        ),
    Cause::new(AREA, "runtime_class_missing", Error, TemplateAuthor, "The RuntimeClass does not exist")
        .on(&[REFUSED.text(&["runtimeclass ? not found", "runtimeclass.node.k8s.io ? not found", "runtimeclasses* ? not found"])])
        .says(
            "The RuntimeClass{q1} that the template names does not exist in this cluster.",
            "An administrator must install it, or the template's author must name another.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-\" is forbidden: pod rejected: RuntimeClass \"sysbox-runc\" not found",
        ),
    Cause::new(AREA, "webhook_unavailable", Warn, Administrator, "A webhook of the cluster does not answer")
        .on(&[REFUSED.text(&["failed calling webhook ?:", "failed calling admission webhook ?:", "failed calling webhook", "failed calling admission webhook", "failed to call webhook", "failed to complete mutation in", "failed to complete validation in"])])
        .says(
            "The cluster asks a webhook{q1} about each new pod, and that does not answer.",
            "Kubernetes tries again by itself; if it goes on, tell your administrator.",
        )
        .seen(
            "FailedCreate",
            "Error creating: Internal error occurred: failed calling webhook \"namespace.sidecar-injector.istio.io\": failed \
             to call webhook: Post \"https://istiod.istio-system.svc:443/inject?timeout=10s\": no endpoints available for \
             service \"istiod\"",
        ),
    Cause::new(AREA, "policy_reported", Warn, TemplateAuthor, "A policy reports the pod and lets it start")
        .on(&[Pattern::of(Topic::Event).reason(&["PolicyViolation"])])
        .says("The pod breaks a policy of the cluster that is only reported so far.", "The start goes on; the template's author should follow it.")
        .seen("PolicyViolation", "policy require-labels/check-team fail: validation error: label team is required"),
    Cause::new(AREA, "namespace_terminating", Error, Administrator, "The namespace is being deleted")
        .on(&[REFUSED.text(&["because it is being terminated", "namespaces ? not found"])])
        .says("The namespace is being deleted or does not exist: nothing new can be made in it.", "Ask your administrator where workspaces are to run.")
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-…\" is forbidden: unable to create new content in namespace team because it is being \
             terminated",
        ),
    Cause::new(AREA, "node_selector_conflict", Error, TemplateAuthor, "The namespace demands another node selector")
        .on(&[REFUSED.text(&["conflicts with its namespace node label selector", "namespace node label selector", "conflict with its namespace"])])
        .says(
            "The template's node selector or tolerations contradict those that the namespace demands.",
            "The template's author must remove them, or an administrator must change the namespace.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-…\" is forbidden: pod node label selector conflicts with its namespace node label \
             selector",
        ),
    Cause::new(AREA, "service_account_secret", Error, TemplateAuthor, "The ServiceAccount may not use the Secret")
        .on(&[REFUSED.text(&["is not allowed because service account ? does not reference that"])])
        .says(
            "The workspace's ServiceAccount{q1} may use only the Secrets it lists, and the template uses another.",
            "An administrator must add the Secret to the ServiceAccount.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods \"ws-1-…\" is forbidden: volume with secret.secretName=\"keys\" is not allowed because service \
             account workspace does not reference that secret",
        ),
    Cause::new(AREA, "previous_pod", Warn, Nobody, "The previous pod of this name still exists")
        .on(&[REFUSED.text(&["pvc ? is being deleted", "object is being deleted", "already exists"])])
        .says(
            "The previous pod or volume claim of this name is still being deleted.",
            "Kubernetes tries again by itself; if it goes on for many minutes, ask your administrator.",
        )
        .seen(
            "FailedCreate",
            "Create Pod ws-0 in StatefulSet ws failed error: pvc home-ws-0 is being deleted",
        ),
    Cause::new(AREA, "not_permitted", Error, Administrator, "A controller may not create the pod")
        .on(&[REFUSED.text(&["user ? cannot create resource", "cannot set blockownerdeletion"])])
        .says(
            "The cluster's access rules do not let its controller create the pod.",
            "An administrator must correct them.",
        )
        .seen(
            "FailedCreate",
            "Error creating: pods is forbidden: User \"system:serviceaccount:kube-system:replicaset-controller\" cannot \
             create resource \"pods\" in API group \"\" in the namespace \"team\"",
        ),
    Cause::new(AREA, "pod_invalid", Error, TemplateAuthor, "The pod is not valid")
        .on(&[REFUSED.text(&["is invalid: ?: invalid value", "is invalid: ?: ", "is invalid:", "cannot be handled as a pod", "strict decoding error"])])
        .says(
            "Kubernetes does not accept the pod as the template describes it; the message names the field.",
            "The template's author must correct it.",
        )
        .seen(
            "FailedCreate",
            "Error creating: Pod \"ws-1-…\" is invalid: spec.containers[0].volumeMounts[0].name: Not found: \"home\"",
        ),
    Cause::new(AREA, "api_server_busy", Warn, Nobody, "The API server has trouble of its own")
        .on(&[REFUSED.text(&[
            "etcdserver",
            "context deadline exceeded",
            "timeout",
            "timed out",
            "in the time allotted",
            "too many requests",
            "unable to handle the request",
            "internal error",
            "connection refused",
            "try again later",
            "the object has been modified",
            "error creating: unauthorized",
            "failed error: unauthorized",
        ])])
        .says(
            "The cluster's API server has trouble at the moment.",
            "Kubernetes tries again by itself; if it goes on, tell your administrator.",
        )
        .seen("FailedCreate", "Error creating: etcdserver: request timed out"),
    Cause::new(AREA, "forbidden", Error, Administrator, "A rule of the cluster forbids the pod")
        .on(&[REFUSED.text(&["is forbidden:"])])
        .says("A rule of the cluster does not allow the pod.", "Show the message to your administrator.")
        .seen("FailedCreate", "Error creating: pods \"ws-1-…\" is forbidden: a rule of this cluster"),
];
