//! The decision about a review: from the request to the registration and the answer, without side effects.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use json_patch::Patch;
use logstream_core::{
    extract::{self, Agent, Extracted, TokenSource},
    object::{Meta, Pod, PodSpec, Workload},
    registration::Registration,
    resource::Kind,
    token::{self, AgentToken},
    workspace::Owner,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    annotations::{self, Annotations, Change},
    metrics::Outcome,
    policy::Policy,
    recent_patches::RecentPatches,
    review::Request,
};

/// Maximum number of agents of one object. Pods with a dozen exist; a forged review could have tens of thousands.
const MAX_AGENTS: usize = 64;

/// Maximum length of a name or namespace in Kubernetes. An object with a longer one will be refused.
const MAX_NAME: usize = 253;

/// Maximum length of a user's or workspace's name, in bytes. An annotation can be far longer than a label.
const MAX_OWNER: usize = 253;

/// The decision about a review.
#[derive(Debug)]
pub(crate) struct Decision {
    /// Kind of the object, if the webhook records it.
    pub(crate) kind: Option<Kind>,
    pub(crate) outcome: Outcome,
    /// The registration to record.
    pub(crate) registration: Option<Registration>,
    /// The patch of the answer.
    pub(crate) patch: Option<Patch>,
    /// The agents found, without their tokens.
    pub(crate) agents: String,
    /// Number of containers whose token is not a UUID.
    pub(crate) not_tokens: usize,
}

impl Decision {
    fn empty(kind: Option<Kind>, outcome: Outcome) -> Self {
        Self { kind, outcome, registration: None, patch: None, agents: String::new(), not_tokens: 0 }
    }

    /// The decision about a review that is unreadable beyond its uid.
    pub(crate) fn unreadable() -> Self {
        Self::empty(None, Outcome::NotUnderstood)
    }

    /// Decides about a review. `recent` are the patches of earlier calls.
    ///
    /// A pod without agents is left alone even if it has this program's annotations: they are informational, and the
    /// webhook is not called for most such pods.
    pub(crate) fn of(
        request: &Request<'_>,
        uid: &str,
        now: Timestamp,
        policy: &Policy,
        recent: &RecentPatches,
    ) -> Self {
        let label = request.kind();
        let Some(kind) = label.filter(|_| request.is_creation()) else { return Self::empty(label, Outcome::Unchanged) };
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
        let annotate = || candidate.annotate(&agents, &owner, uid, now, recent);
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

/// An object that may have agents.
struct Candidate<'a> {
    kind: Kind,
    namespace: &'a str,
    name: &'a str,
    object: Object,
}

enum Object {
    Pod(Box<Pod>),
    Workload(Box<Workload>),
}

impl<'a> Candidate<'a> {
    /// Decodes the object; `None` if it is malformed or will be refused by the API server.
    fn read(kind: Kind, request: &'a Request<'_>) -> Option<Self> {
        let json = request.object()?;
        let object = match kind {
            Kind::Pod => Object::Pod(Box::new(decode(json)?)),
            _ => Object::Workload(Box::new(decode(json)?)),
        };
        let candidate = Self { kind, namespace: request.namespace(), name: request.name(), object };
        if !has_metadata(json, candidate.meta()) {
            return None;
        }
        let named = (1..=MAX_NAME).contains(&candidate.namespace.len())
            && candidate.meta().name.len() <= MAX_NAME
            && candidate.name.len() <= MAX_NAME;
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

    /// The labels that the label selector applies to: those of the pod, or of the workload's pod template.
    fn pod_labels(&self) -> &BTreeMap<String, String> {
        match &self.object {
            Object::Pod(pod) => &pod.metadata.labels,
            Object::Workload(workload) => &workload.spec.template.metadata.labels,
        }
    }

    fn agents(&self) -> Extracted {
        let mut extracted = extract::agents(self.spec());
        extracted.agents.truncate(MAX_AGENTS);
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
            // The controller of a workload is a Deployment or a CronJob, which are not announced.
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

    /// The patch of a workspace pod; `None` if the object is only registered.
    fn annotate(
        &self,
        agents: &[Agent],
        owner: &Owner,
        uid: &str,
        now: Timestamp,
        recent: &RecentPatches,
    ) -> Option<Patch> {
        let Object::Pod(pod) = &self.object else { return None };
        // Many pods have an envFrom, which may hold a token: only with Coder's labels does such a pod count as a workspace.
        let coders = pod.metadata.labels.keys().any(|key| key.starts_with("com.coder."));
        let certain = |agent: &&Agent| coders || self.names_its_token(&agent.container);
        let agents = annotations::describe(agents.iter().filter(certain));
        if agents.is_empty() {
            return None;
        }
        let annotations = Annotations { owner, agents, recorded_at: now, registration: uid };
        match annotations.change(&pod.metadata.annotations, recent) {
            Change::Patch(patch) => Some(patch),
            Change::None | Change::NoRoom => None,
        }
    }

    /// True if a container sets an agent's environment variable itself, as opposed to an envFrom that may hold one.
    fn names_its_token(&self, container: &str) -> bool {
        let PodSpec { init_containers, containers, .. } = self.spec();
        init_containers
            .iter()
            .chain(containers)
            .filter(|candidate| candidate.name == container)
            .any(|container| container.env.iter().any(|entry| token::VARIABLES.contains(&entry.name.as_str())))
    }
}

/// True if an object has `metadata`, so that a patch of its annotations applies. Its type was checked by decoding.
fn has_metadata(json: &RawValue, decoded: &Meta) -> bool {
    #[derive(Deserialize)]
    struct Shape<'a> {
        #[serde(borrow)]
        metadata: Option<&'a RawValue>,
    }
    // Parsed again only if it is empty or missing.
    *decoded != Meta::default()
        || serde_json::from_str::<Shape<'_>>(json.get()).is_ok_and(|shape| shape.metadata.is_some())
}

/// Decodes an object. The error is dropped, because its text may contain a part of the object.
fn decode<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Option<T> {
    serde_json::from_str(json.get()).ok()
}

fn shorten(text: &mut String) {
    text.truncate(text.floor_char_boundary(MAX_OWNER));
}
