//! Selection of objects, and the group of lines that each belongs to.

use std::collections::{HashMap, HashSet};

use logstream_core::{
    correlate::Object,
    extract::{self, TokenSource},
    identity::Uid,
    object::{Container, EnvVar, Meta, PodSpec},
    resource::Kind,
    token::{self, AgentToken, Sealed},
    workspace::Owner,
};
use uuid::Uuid;

use super::target::{self, Target};

/// A pod without a controller, or a controller with its pods: a single workspace, if it is one at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Group {
    /// Kind of the controller, or `Pod`.
    pub(super) kind: String,
    /// Namespace of all its objects.
    pub(super) namespace: String,
    /// Name of the controller or the pod.
    pub(super) name: String,
    /// The Coder user, if an object names it, and the workspace.
    pub(super) owner: Option<Owner>,
    /// Number of its pods.
    pub(super) pods: usize,
    /// True if the object is gone and only its Events are left.
    pub(super) deleted: bool,
}

impl Group {
    /// `kind/name` as kubectl writes it.
    pub(super) fn title(&self) -> String {
        format!("{}/{}", self.kind.to_ascii_lowercase(), self.name)
    }
}

/// Number of a group.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct GroupId(pub(super) u32);

impl GroupId {
    /// The agent that stands for the group in the correlator. Real tokens are random UUIDs, this is a small number.
    fn agent(self) -> AgentToken {
        AgentToken::from(Uuid::from_u128(u128::from(self.0)))
    }
}

/// Decides which objects are explained.
#[derive(Debug)]
pub(super) struct Selection {
    target: Target,
    /// Workloads whose pods are selected with them.
    roots: HashSet<Uid>,
    /// Workloads that are selected because of a pod.
    parents: HashSet<Uid>,
    pods: HashSet<Uid>,
    groups: Vec<Group>,
    by_name: HashMap<(String, String, String), GroupId>,
    /// Groups of workloads.
    by_workload: HashMap<Uid, GroupId>,
    by_agent: HashMap<AgentToken, GroupId>,
    /// Real tokens of all objects: none of them is printed.
    tokens: HashSet<AgentToken>,
}

impl Selection {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            roots: HashSet::new(),
            parents: HashSet::new(),
            pods: HashSet::new(),
            groups: Vec::new(),
            by_name: HashMap::new(),
            by_workload: HashMap::new(),
            by_agent: HashMap::new(),
            tokens: HashSet::new(),
        }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(usize::try_from(id.0).ok()?)
    }

    /// The groups that have a selected object.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub(super) fn group_of(&self, agents: &[AgentToken]) -> Option<GroupId> {
        agents.iter().find_map(|agent| self.by_agent.get(agent)).copied()
    }

    /// True if it is the token of an agent of any object.
    pub(super) fn is_token(&self, token: AgentToken) -> bool {
        self.tokens.contains(&token)
    }

    /// Notes an object. Returns true if it is selected, as far as is known: a workload may be selected later because of
    /// its pod, and a pod because of its workload.
    pub(super) fn note(&mut self, object: &Object) -> bool {
        let meta = object.meta();
        let Some(uid) = meta.uid else { return false };
        let controller = meta.controller().map(|owner| owner.uid);
        let with_controller = controller.is_some_and(|uid| self.roots.contains(&uid));
        let selected = self.target.matches(object) || with_controller;
        match object {
            Object::Workload(..) if selected => {
                self.roots.insert(uid);
                true
            }
            Object::Workload(..) => {
                let is_parent = self.parents.contains(&uid);
                self.parents.extend(controller.filter(|_| is_parent));
                is_parent || self.roots.contains(&uid)
            }
            Object::Pod(_) if selected => {
                self.parents.extend(controller.filter(|_| !with_controller));
                true
            }
            Object::Pod(_) => false,
        }
    }

    /// Replaces the agents of an object: a selected one gets the agent of its group, any other none. Thus the
    /// correlator treats exactly the selected objects as workspaces.
    pub(super) fn assign(&mut self, object: &mut Object, selected: bool) {
        let agent = selected.then(|| self.group_id(object).agent());
        let spec = match object {
            Object::Pod(pod) => &mut pod.spec,
            Object::Workload(_, workload) => &mut workload.spec.template.spec,
        };
        self.tokens.extend(extract::agents(spec).agents.into_iter().filter_map(|agent| match agent.source {
            TokenSource::Value(token) => Some(token),
            TokenSource::Reference(_) => None,
        }));
        set_agent(spec, agent);
    }

    /// Records that the objects of all groups are gone.
    pub(super) fn set_deleted(&mut self) {
        for group in &mut self.groups {
            group.deleted = true;
        }
    }

    /// The group of a selected object.
    fn group_id(&mut self, object: &Object) -> GroupId {
        let (kind, meta) = match object {
            Object::Pod(pod) => (Kind::Pod, &pod.metadata),
            Object::Workload(kind, workload) => (*kind, &workload.metadata),
        };
        let controller = meta.controller();
        let of_workload = controller.and_then(|owner| self.by_workload.get(&owner.uid)).copied();
        let id = of_workload.unwrap_or_else(|| match controller {
            Some(owner) => self.group_named(&owner.kind, meta, &owner.name),
            None => self.group_named(kind.as_str(), meta, meta.name_or_prefix()),
        });
        let owner = target::owner(object);
        let is_new_pod = kind == Kind::Pod && meta.uid.is_some_and(|uid| self.pods.insert(uid));
        if let Some(group) = usize::try_from(id.0).ok().and_then(|index| self.groups.get_mut(index)) {
            group.pods += usize::from(is_new_pod);
            let is_known = group.owner.as_ref().is_some_and(|known| known.is_person() || !owner.is_person());
            if !is_known && !owner.user.is_empty() {
                group.owner = Some(owner);
            }
        }
        if let Some(uid) = meta.uid.filter(|_| kind != Kind::Pod) {
            self.by_workload.insert(uid, id);
        }
        id
    }

    fn group_named(&mut self, kind: &str, meta: &Meta, name: &str) -> GroupId {
        let key = (kind.to_owned(), meta.namespace.clone(), name.to_owned());
        if let Some(id) = self.by_name.get(&key) {
            return *id;
        }
        let id = GroupId(u32::try_from(self.groups.len()).unwrap_or(u32::MAX));
        let (kind, namespace, name) = key.clone();
        self.groups.push(Group { kind, namespace, name, owner: None, pods: 0, deleted: false });
        self.by_name.insert(key, id);
        self.by_agent.insert(id.agent(), id);
        id
    }
}

fn set_agent(spec: &mut PodSpec, agent: Option<AgentToken>) {
    for container in spec.init_containers.iter_mut().chain(&mut spec.containers) {
        container.env.clear();
        container.env_from.clear();
    }
    let Some(agent) = agent else { return };
    if spec.containers.is_empty() {
        spec.containers.push(Container::default());
    }
    if let Some(container) = spec.containers.first_mut() {
        let value = Some(Sealed::new(agent.expose()));
        container.env.push(EnvVar { name: token::TOKEN.to_owned(), value, value_from: None });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::explain::target::TargetKind;

    const TOKEN: &str = "22222222-2222-4333-8444-555555555555";

    fn meta(kind: &str, name: &str, uid: &str, owner: Option<(&str, &str, &str)>) -> Value {
        let owners: Vec<Value> = owner
            .iter()
            .map(|(kind, name, uid)| json!({ "kind": kind, "name": name, "uid": uid, "controller": true }))
            .collect();
        json!({ "kind": kind, "metadata": { "name": name, "namespace": "ns", "uid": uid, "ownerReferences": owners } })
    }

    fn pod(name: &str, uid: &str, owner: Option<(&str, &str, &str)>) -> Object {
        let mut pod = meta("Pod", name, uid, owner);
        pod["spec"] = json!({ "containers": [
            { "name": "dev", "env": [{ "name": "CODER_AGENT_TOKEN", "value": TOKEN }] }
        ] });
        Object::Pod(serde_json::from_value(pod).unwrap())
    }

    fn replica_set(name: &str, uid: &str, deployment: &str) -> Object {
        let object = meta("ReplicaSet", name, uid, Some(("Deployment", deployment, "9")));
        Object::Workload(Kind::ReplicaSet, serde_json::from_value(object).unwrap())
    }

    fn named(kind: TargetKind, name: &str) -> Selection {
        Selection::new(Target::Named(kind, name.to_owned()))
    }

    #[test]
    fn a_deployment_selects_its_replica_sets_and_their_pods() {
        let mut selection = named(TargetKind::Deployment, "dev");
        let mut of_dev = pod("dev-1-x", "2", Some(("ReplicaSet", "dev-1", "1")));
        assert!(!selection.note(&of_dev), "its ReplicaSet is not known yet");
        let mut set = replica_set("dev-1", "1", "dev");
        assert!(selection.note(&set) && selection.note(&of_dev));
        assert!(!selection.note(&replica_set("other-1", "3", "other")));
        selection.assign(&mut set, true);
        selection.assign(&mut of_dev, true);
        let [group] = selection.groups() else { panic!("{:?}", selection.groups()) };
        assert_eq!((group.title(), group.pods), ("deployment/dev".to_owned(), 1));
    }

    #[test]
    fn a_pod_selects_its_workload_and_no_sibling() {
        let mut selection = named(TargetKind::Pod, "dev-1-x");
        assert!(!selection.note(&replica_set("dev-1", "1", "dev")));
        assert!(selection.note(&pod("dev-1-x", "2", Some(("ReplicaSet", "dev-1", "1")))));
        assert!(selection.note(&replica_set("dev-1", "1", "dev")));
        assert!(!selection.note(&pod("dev-1-y", "3", Some(("ReplicaSet", "dev-1", "1")))));
    }

    #[test]
    fn agents_are_replaced_and_real_tokens_remembered() {
        let mut selection = Selection::new(Target::All);
        let (mut selected, mut other) = (pod("a", "1", None), pod("b", "2", None));
        selection.assign(&mut selected, true);
        selection.assign(&mut other, false);
        let agents = |object: &Object| match object {
            Object::Pod(pod) => extract::agents(&pod.spec).agents,
            Object::Workload(..) => panic!("a pod"),
        };
        let TokenSource::Value(agent) = agents(&selected)[0].source.clone() else { panic!("a value") };
        assert_eq!(selection.group_of(&[agent]), Some(GroupId(0)));
        assert_eq!(agents(&other), []);
        assert!(selection.is_token(AgentToken::parse(TOKEN).unwrap()) && !selection.is_token(agent));
    }
}
