//! The objects to be explained.

use std::fmt;

use logstream_core::{correlate::Object, extract, object::Meta, resource::Kind, workspace::Owner};

use crate::config::LabelSelector;

/// The objects to be explained, in each namespace that is read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// All pods and workloads.
    All,
    /// One object, and the pods that it controls.
    Named(TargetKind, String),
    /// Pods with these labels, and workloads whose template has them.
    Labels(LabelSelector),
    /// Workspaces of this Coder user: a name or an e-mail address, regardless of case.
    Owner(String),
}

/// A kind that can be named on the command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TargetKind {
    /// core/v1
    Pod,
    /// apps/v1
    Deployment,
    /// apps/v1
    ReplicaSet,
    /// apps/v1
    StatefulSet,
    /// apps/v1; only its pods are explained
    DaemonSet,
    /// batch/v1
    Job,
    /// batch/v1
    CronJob,
}

/// Names of each kind, the singular first, as kubectl takes them.
const KINDS: [(TargetKind, &[&str]); 7] = [
    (TargetKind::Pod, &["pod", "pods", "po"]),
    (TargetKind::Deployment, &["deployment", "deployments", "deploy"]),
    (TargetKind::ReplicaSet, &["replicaset", "replicasets", "rs"]),
    (TargetKind::StatefulSet, &["statefulset", "statefulsets", "sts"]),
    (TargetKind::DaemonSet, &["daemonset", "daemonsets", "ds"]),
    (TargetKind::Job, &["job", "jobs"]),
    (TargetKind::CronJob, &["cronjob", "cronjobs", "cj"]),
];

impl TargetKind {
    /// The kind of this name on the command line, with or without its API group.
    fn parse(text: &str) -> Option<Self> {
        let name = text.split('.').next().unwrap_or_default().to_ascii_lowercase();
        KINDS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(kind, _)| *kind)
    }

    /// The kind's name on the command line.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, names)| names[0])
    }

    /// The plural of that name.
    pub(super) fn plural(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, names)| names[1])
    }

    /// The kind of this name in the Kubernetes API.
    pub(super) fn of_api(name: &str) -> Option<Self> {
        KINDS.iter().map(|(kind, _)| *kind).find(|kind| kind.api_name() == name)
    }

    /// The kind's name in the Kubernetes API.
    fn api_name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }
}

impl Target {
    /// The object of `KIND/NAME`, of `KIND NAME`, or the pod of `NAME`.
    pub(super) fn parse(arguments: &[String]) -> Result<Self, String> {
        let (kind, name) = match arguments {
            [] => return Ok(Self::All),
            [one] if !one.contains(['/', '.']) && TargetKind::parse(one).is_some() => {
                return Err(format!("{one:?} is a kind without a name; {one}/NAME is accepted, or nothing for all"));
            }
            [one] => one.split_once('/').unwrap_or(("pod", one)),
            [kind, name, ..] => (kind.as_str(), name.as_str()),
        };
        let Some(kind) = TargetKind::parse(kind) else {
            let kinds: Vec<&str> = KINDS.iter().map(|(_, names)| names[0]).collect();
            return Err(format!("{kind:?} is not a kind that is explained; accepted are {}", kinds.join(", ")));
        };
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(format!("{name:?} is not the name of an object; KIND/NAME or the NAME of a pod is accepted"));
        }
        Ok(Self::Named(kind, name.to_owned()))
    }

    /// True if the object itself is one of those meant, or is controlled by the one that is named.
    pub(super) fn matches(&self, object: &Object) -> bool {
        let (kind, meta, template) = match object {
            Object::Pod(pod) => (Kind::Pod, &pod.metadata, None),
            Object::Workload(kind, workload) => (*kind, &workload.metadata, Some(&workload.spec.template.metadata)),
        };
        match self {
            Self::All => true,
            Self::Named(wanted, name) => {
                let is_it = |kind: &str, of: &str| wanted.api_name() == kind && name == of;
                is_it(kind.as_str(), &meta.name)
                    || meta.controller().is_some_and(|owner| is_it(&owner.kind, &owner.name))
            }
            Self::Labels(selector) => selector.matches(&template.unwrap_or(meta).labels),
            Self::Owner(user) => is_of(user, object),
        }
    }

    /// True if a ReplicaSet is named.
    pub(super) fn is_replica_set(&self) -> bool {
        matches!(self, Self::Named(TargetKind::ReplicaSet, _))
    }

    /// True if this very object is named, of a kind that has Events.
    pub(super) fn names(&self, kind: Kind, name: &str) -> bool {
        matches!(self, Self::Named(wanted, of) if wanted.api_name() == kind.as_str() && of == name)
    }
}

/// Metadata that may name an object's owner, the most reliable first.
fn sources(object: &Object) -> Vec<&Meta> {
    match object {
        Object::Pod(pod) => vec![&pod.metadata],
        Object::Workload(_, workload) => vec![&workload.spec.template.metadata, &workload.metadata],
    }
}

/// The Coder user and the workspace of an object; without a user if nothing names one. A name such as
/// `coder-logstream-kube` counts only if there is an agent, or if only Events are left of the object.
pub(super) fn owner(object: &Object) -> Owner {
    let (meta, spec) = match object {
        Object::Pod(pod) => (&pod.metadata, &pod.spec),
        Object::Workload(_, workload) => (&workload.metadata, &workload.spec.template.spec),
    };
    let may_be_workspace = spec.containers.is_empty() || !extract::agents(spec).agents.is_empty();
    let name = if may_be_workspace { meta.name_or_prefix() } else { "" };
    Owner::derive(&sources(object), name, &meta.namespace)
}

fn is_of(user: &str, object: &Object) -> bool {
    const EMAIL: &str = "com.coder.user.email";
    let (owner, sources) = (owner(object), sources(object));
    let emails = sources.iter().filter_map(|meta| meta.annotations.known.get(EMAIL));
    emails.chain([&owner.user]).any(|name| name.eq_ignore_ascii_case(user))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("pods and workloads"),
            Self::Named(kind, name) => write!(f, "{}/{name}", kind.name()),
            Self::Labels(selector) => write!(f, "pods with the labels {selector}"),
            Self::Owner(user) => write!(f, "workspaces of {user}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(text: &str) -> Result<Target, String> {
        Target::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn pod(metadata: &Value) -> Object {
        Object::Pod(serde_json::from_value(json!({ "metadata": metadata })).unwrap())
    }

    fn replica_set(metadata: &Value, template: &Value) -> Object {
        let object = json!({ "metadata": metadata, "spec": { "template": { "metadata": template } } });
        Object::Workload(Kind::ReplicaSet, serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_target_is_written_as_for_kubectl() {
        let dev = |kind| Ok(Target::Named(kind, "dev".to_owned()));
        assert_eq!(parse(""), Ok(Target::All));
        assert_eq!(parse("dev"), dev(TargetKind::Pod));
        for (text, kind) in [
            ("pod/dev", TargetKind::Pod),
            ("Pod dev", TargetKind::Pod),
            ("deploy/dev", TargetKind::Deployment),
            ("deployments.apps/dev", TargetKind::Deployment),
            ("sts dev", TargetKind::StatefulSet),
            ("job/dev", TargetKind::Job),
        ] {
            assert_eq!(parse(text), dev(kind), "{text}");
        }
    }

    #[test]
    fn another_kind_or_name_is_rejected_with_the_accepted_ones() {
        assert!(parse("node/a").unwrap_err().contains("accepted are pod, deployment, replicaset"));
        assert!(parse("deploy").unwrap_err().contains("deploy/NAME is accepted"));
        for text in ["pod/", "pod/a/b", "pod a*"] {
            assert!(parse(text).unwrap_err().contains("is not the name of an object"), "{text}");
        }
    }

    #[test]
    fn a_named_controller_matches_its_objects() {
        let owner = |kind: &str| json!([{ "kind": kind, "name": "dev", "uid": "1", "controller": true }]);
        let deployment = parse("deployment/dev").unwrap();
        assert!(
            deployment
                .matches(&replica_set(&json!({ "name": "dev-1", "ownerReferences": owner("Deployment") }), &json!({})))
        );
        assert!(!deployment.matches(&pod(&json!({ "name": "dev" }))));
        assert!(parse("ds/dev").unwrap().matches(&pod(&json!({ "name": "x", "ownerReferences": owner("DaemonSet") }))));
        assert!(parse("pod/dev").unwrap().matches(&pod(&json!({ "name": "dev" }))));
    }

    #[test]
    fn labels_are_those_of_the_pod_or_of_the_template() {
        let target = Target::Labels(LabelSelector::parse("app=dev").unwrap());
        let labels = json!({ "labels": { "app": "dev" } });
        assert!(target.matches(&pod(&labels)));
        assert!(target.matches(&replica_set(&json!({}), &labels)));
        assert!(!target.matches(&replica_set(&labels, &json!({}))));
    }

    #[test]
    fn an_owner_is_known_by_labels_email_or_name() {
        let alice = Target::Owner("Alice".to_owned());
        assert!(alice.matches(&pod(&json!({ "labels": { "com.coder.user.username": "alice" } }))));
        assert!(alice.matches(&pod(&json!({ "name": "coder-alice-dev" }))));
        assert!(!alice.matches(&pod(&json!({ "name": "coder-bob-dev" }))));
        let no_workspace =
            json!({ "metadata": { "name": "coder-alice-dev" }, "spec": { "containers": [{ "name": "a" }] } });
        assert!(!alice.matches(&Object::Pod(serde_json::from_value(no_workspace).unwrap())), "without an agent");
        let annotated =
            json!({ "name": "coder-alice-dev", "annotations": { "com.coder.user.email": "a@example.com" } });
        let by_email = Target::Owner("a@example.com".to_owned());
        assert!(by_email.matches(&replica_set(&annotated, &json!({}))));
    }
}
