//! What a review means: pure, from the request to what is to be recorded and answered.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use json_patch::Patch;
use logstream_core::{
    extract::{self, Agent, Extracted, TokenSource},
    object::{Meta, Pod, PodSpec, Workload},
    registration::Registration,
    resource,
    token::{self, AgentToken},
    workspace::Owner,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    annotations::{self, Annotations, Change},
    issued::Issued,
    metrics::{Kind, Outcome},
    policy::Policy,
    review::Request,
};

/// How many agents of one object are taken. Pods with a dozen are known; a forged review could hold tens of
/// thousands, and each claim must be small.
const MOST_AGENTS: usize = 64;

/// The longest name or namespace in Kubernetes. An object with a longer one is about to be refused.
const LONGEST_NAME: usize = 253;

/// How much of a user's or workspace's name is kept: an annotation that tells it can be far longer than a label.
const LONGEST_OWNER: usize = 253;

/// What a review means.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) kind: Kind,
    pub(crate) outcome: Outcome,
    /// To be recorded.
    pub(crate) registration: Option<Registration>,
    /// To be answered.
    pub(crate) patch: Option<Patch>,
    /// The agents found, without their tokens.
    pub(crate) agents: String,
    /// Containers whose token is no UUID.
    pub(crate) not_tokens: usize,
}

impl Judgement {
    fn empty(kind: Kind, outcome: Outcome) -> Self {
        Self { kind, outcome, registration: None, patch: None, agents: String::new(), not_tokens: 0 }
    }

    /// A review that could not be read beyond its uid.
    pub(crate) fn unreadable() -> Self {
        Self::empty(Kind::Other, Outcome::NotUnderstood)
    }

    /// Judges a review.
    ///
    /// A pod without agents is left alone even if it carries our annotations: they are for people, nothing here reads
    /// them as the truth, and the webhook is not even called for most such pods.
    pub(crate) fn of(request: &Request<'_>, uid: &str, now: Timestamp, policy: &Policy, issued: &Issued) -> Self {
        let kind = request.kind();
        let label = Kind::from(kind);
        let Some(kind) = kind.filter(|_| request.is_creation()) else { return Self::empty(label, Outcome::Unchanged) };
        let Some(candidate) = Candidate::read(kind, request) else { return Self::empty(label, Outcome::NotUnderstood) };
        if !policy.selects(candidate.pod_labels()) {
            return Self::empty(label, Outcome::Unchanged);
        }
        let Extracted { mut agents, not_tokens } = candidate.agents();
        agents.retain(|agent| policy.streams(agent));
        if agents.is_empty() {
            return Self { not_tokens, ..Self::empty(label, Outcome::Unchanged) };
        }
        let owner = candidate.owner();
        let annotate = || candidate.annotate(&agents, &owner, uid, now, issued);
        let (patch, outcome) = match (!policy.needs_confirmation()).then(annotate).flatten() {
            Some(patch) => (Some(patch), Outcome::Patched),
            None => (None, Outcome::Recorded),
        };
        let described = annotations::describe(&agents);
        // Tokens are only recorded to prepare the log source at Coder; the watch reads them again from the object.
        let recorded: &[Agent] = if policy.needs_confirmation() { &[] } else { &agents };
        let registration = (!request.is_dry_run()).then(|| candidate.registration(recorded));
        let outcome = if registration.is_some() { outcome } else { Outcome::DryRun };
        Self { kind: label, outcome, registration, patch, agents: described, not_tokens }
    }
}

/// An object that may carry agents.
struct Candidate<'a> {
    kind: resource::Kind,
    namespace: &'a str,
    name: &'a str,
    object: Object,
}

enum Object {
    Pod(Box<Pod>),
    Workload(Box<Workload>),
}

impl<'a> Candidate<'a> {
    /// `None` if the object is not what Kubernetes documents, or could not come to exist.
    fn read(kind: resource::Kind, request: &'a Request<'_>) -> Option<Self> {
        let json = request.object()?;
        let object = match kind {
            resource::Kind::Pod => Object::Pod(Box::new(decode(json)?)),
            _ => Object::Workload(Box::new(decode(json)?)),
        };
        let candidate = Self { kind, namespace: request.namespace(), name: request.name(), object };
        if !has_metadata(json, candidate.meta()) {
            return None;
        }
        let named = (1..=LONGEST_NAME).contains(&candidate.namespace.len())
            && candidate.meta().name.len() <= LONGEST_NAME
            && candidate.name.len() <= LONGEST_NAME;
        named.then_some(candidate)
    }

    fn meta(&self) -> &Meta {
        match &self.object {
            Object::Pod(pod) => &pod.metadata,
            Object::Workload(workload) => &workload.metadata,
        }
    }

    fn spec(&self) -> &PodSpec {
        match &self.object {
            Object::Pod(pod) => &pod.spec,
            Object::Workload(workload) => &workload.spec.template.spec,
        }
    }

    /// The labels that the label selector applies to: those of the pod, or of the pods that the workload makes.
    fn pod_labels(&self) -> &BTreeMap<String, String> {
        match &self.object {
            Object::Pod(pod) => &pod.metadata.labels,
            Object::Workload(workload) => &workload.spec.template.metadata.labels,
        }
    }

    fn agents(&self) -> Extracted {
        let mut extracted = extract::agents(self.spec());
        extracted.agents.truncate(MOST_AGENTS);
        extracted
    }

    fn owner(&self) -> Owner {
        let name = match self.meta().name_or_prefix() {
            "" => self.name,
            name => name,
        };
        let mut owner = match &self.object {
            Object::Pod(pod) => Owner::derive(&[&pod.metadata], name, self.namespace),
            Object::Workload(workload) => {
                Owner::derive(&[&workload.spec.template.metadata, &workload.metadata], name, self.namespace)
            }
        };
        shorten(&mut owner.user);
        shorten(&mut owner.workspace);
        owner
    }

    fn registration(&self, agents: &[Agent]) -> Registration {
        let meta = self.meta();
        let (name, controller) = match &self.object {
            Object::Pod(_) => (meta.name.as_str(), meta.controller().map(|owner| owner.uid)),
            // The controller of a workload is a Deployment or a CronJob: no line is about one.
            Object::Workload(_) if meta.name.is_empty() => (self.name, None),
            Object::Workload(_) => (meta.name.as_str(), None),
        };
        let mut tokens: Vec<AgentToken> = Vec::new();
        for agent in agents {
            match agent.source {
                TokenSource::Value(token) if !tokens.contains(&token) => tokens.push(token),
                _ => {}
            }
        }
        Registration {
            kind: self.kind,
            namespace: Arc::from(self.namespace),
            name: (!name.is_empty()).then(|| Arc::from(name)),
            controller,
            tokens,
        }
    }

    /// The patch for a pod that is a workspace; none for what is only recorded.
    fn annotate(&self, agents: &[Agent], owner: &Owner, uid: &str, now: Timestamp, issued: &Issued) -> Option<Patch> {
        let Object::Pod(pod) = &self.object else { return None };
        // An envFrom is a mere possibility, and half the pods of a cluster have one: only Coder's labels make it more.
        let coders = pod.metadata.labels.keys().any(|key| key.starts_with("com.coder."));
        let certain = |agent: &&Agent| coders || self.names_its_token(&agent.container);
        let agents = annotations::describe(agents.iter().filter(certain));
        if agents.is_empty() {
            return None;
        }
        let annotations = Annotations { owner, agents, recorded_at: now, registration: uid };
        match annotations.change(&pod.metadata.annotations, issued) {
            Change::Patch(patch) => {
                issued.remember(uid, now);
                Some(patch)
            }
            Change::None | Change::NoRoom => None,
        }
    }

    /// Whether a container has an environment variable of the agent's, as opposed to an envFrom that may hold one.
    fn names_its_token(&self, container: &str) -> bool {
        let PodSpec { init_containers, containers, .. } = self.spec();
        init_containers
            .iter()
            .chain(containers)
            .filter(|candidate| candidate.name == container)
            .any(|container| container.env.iter().any(|entry| token::VARIABLES.contains(&entry.name.as_str())))
    }
}

/// Whether an object has `metadata`, so that a patch of its annotations applies. That it is an object where it is there,
/// the types see to.
fn has_metadata(json: &RawValue, decoded: &Meta) -> bool {
    #[derive(Deserialize)]
    struct Shape<'a> {
        #[serde(borrow)]
        metadata: Option<&'a RawValue>,
    }
    // Read again only in doubt: it is empty, or left out.
    *decoded != Meta::default()
        || serde_json::from_str::<Shape<'_>>(json.get()).is_ok_and(|shape| shape.metadata.is_some())
}

/// Decodes an object. The error is dropped: its text may hold a part of the object.
fn decode<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Option<T> {
    serde_json::from_str(json.get()).ok()
}

fn shorten(text: &mut String) {
    text.truncate(text.floor_char_boundary(LONGEST_OWNER));
}
