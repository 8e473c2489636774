//! The agents of an object: those in its own spec, and those found through a reference.

use super::{
    Correlator, Counted, Effect, Object, Registrations, carriers::Carriers, event_fact::Images, events::give_up,
    start::owner, tracked::Tracked,
};
use crate::{
    extract::{self, TokenSource},
    fact_id::ScopeId,
    finding::Finding,
    identity::Subject,
    registration::ANNOTATION,
    resource::Kind,
    token::AgentToken,
    workspace::WorkspaceKey,
};

impl Correlator {
    /// Tracks the agents in the object's spec. Returns false if it is not a workspace.
    pub(super) fn carried(
        &mut self,
        scope: Option<ScopeId>,
        subject: &Subject,
        object: &Object,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let (spec, meta, template) = match object {
            Object::Pod(pod) => (&pod.spec, &pod.metadata, None),
            Object::Workload(_, workload) => {
                let template = &workload.spec.template;
                (&template.spec, &workload.metadata, Some(&template.metadata))
            }
        };
        let uid = subject.uid;
        let known = self.tracked.contains_key(&uid);
        let found = extract::agents(spec);
        if found.not_tokens > 0 && !known && !self.non_workspaces.contains(subject) {
            effects.push(Effect::Count(Counted::NotAToken));
        }
        if found.agents.is_empty() && !known {
            self.mark_as_non_workspace(subject, effects);
            return false;
        }
        if self.tracked.len() >= self.limits.tracked && !known {
            effects.push(Effect::Count(Counted::TooMany));
            give_up(self.waiting.take(subject), Counted::Overflow, effects);
            return false;
        }
        // The object itself is more reliable than an earlier lookup.
        self.non_workspaces.remove(subject);
        if !known {
            self.names.add(subject);
        }
        let controller = meta.controller().map(|owner| owner.uid);
        let tracked = self.tracked.entry(uid).or_insert_with(|| {
            let workspace = template
                .and_then(|template| WorkspaceKey::of(&subject.namespace, template))
                .or_else(|| WorkspaceKey::of(&subject.namespace, meta));
            let images = if let Object::Pod(pod) = object { Images::of(pod) } else { Images::default() };
            let mut tracked = Box::new(Tracked::new(subject.clone(), workspace, controller));
            tracked.owner = owner(object, subject);
            (tracked.images, tracked.created) = (images, meta.creation_timestamp);
            tracked
        });
        let before = tracked.agents.clone();
        let to_resolve = tracked.carry(found.agents);
        if !known {
            let registered = confirm_agents(&*self.registrations, &mut self.carriers, tracked, effects);
            // Another replica may have handled its admission.
            let seen = registered || meta.annotations.known.contains_key(ANNOTATION);
            let missed = subject.kind == Kind::Pod && self.has_webhook && !seen;
            if missed && !self.past.was_announced(scope, uid, meta) {
                effects.push(Effect::Count(Counted::MissedByWebhook));
            }
        } else if tracked.agents != before {
            confirm_agents(&*self.registrations, &mut self.carriers, tracked, effects);
            // Conditions of a Deployment are reported once. Events of other workloads are repeated.
            if subject.kind == Kind::Deployment {
                tracked.start_over();
                effects.extend(tracked.dedup.released().map(Effect::Ack));
            }
        }
        if tracked.unresolved.is_empty() {
            release(tracked, effects);
        }
        effects.extend(to_resolve.into_iter().map(|source| Effect::Resolve { subject: subject.clone(), source }));
        true
    }

    /// Handles the token that was found for an agent, or that none was found.
    pub(super) fn resolved(
        &mut self,
        subject: &Subject,
        source: &TokenSource,
        token: Option<AgentToken>,
        effects: &mut Vec<Effect>,
    ) {
        let uid = subject.uid;
        let Some(tracked) = self.tracked.get_mut(&uid) else { return };
        let before = tracked.unresolved.len();
        tracked.unresolved.retain(|other| other != source);
        if tracked.unresolved.len() == before {
            return;
        }
        match token {
            None => effects.push(Effect::Count(Counted::NotAToken)),
            Some(token) => {
                if tracked.resolve(source, token) {
                    let gone = tracked.gone_at.is_some();
                    confirm_agents(&*self.registrations, &mut self.carriers, tracked, effects);
                    for finding in &tracked.held {
                        effects.push(Effect::Finding(Finding { agents: [token].into(), ..finding.clone() }));
                    }
                    if gone {
                        effects.extend(self.carriers.remove(uid).into_iter().map(Effect::Ended));
                    }
                }
            }
        }
        if tracked.unresolved.is_empty() {
            release(tracked, effects);
            if tracked.agents.is_empty()
                && let Some(mut tracked) = self.untrack(uid)
            {
                tracked.dedup.drop_held();
                effects.extend(tracked.dedup.released().map(Effect::Ack));
                self.checking_presence.remove(&uid);
                self.non_workspaces.insert(&tracked.subject);
            }
        }
    }
}

/// Opens the agents of an object, and ends those that no object carries any more. Returns true if admission had
/// registered the object.
pub(super) fn confirm_agents(
    registrations: &dyn Registrations,
    carriers: &mut Carriers,
    tracked: &Tracked,
    effects: &mut Vec<Effect>,
) -> bool {
    let (started, ended) = carriers.set(tracked.subject.uid, tracked.agents.clone());
    let open = |agent| Effect::Open { agent, workspace: tracked.workspace.clone() };
    effects.extend(started.into_iter().map(open));
    effects.extend(ended.into_iter().map(Effect::Ended));
    registrations.confirm(&tracked.subject, tracked.controller)
}

/// Drops the findings that were held for agents that could not be resolved.
pub(super) fn release(tracked: &mut Tracked, effects: &mut Vec<Effect>) {
    effects.extend(tracked.held.drain(..).filter_map(|finding| finding.fact_id).map(Effect::Ack));
}
