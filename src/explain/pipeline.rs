//! From observations to lines: the service's correlator and renderer, with the selection in place of a registry.

use std::{collections::HashSet, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use logstream_core::{
    causes::{self, Cause, UNKNOWN},
    correlate::{Arrival, Correlator, Effect, Limits, NoRegistrations, Object, Observation},
    fact_id::ScopeId,
    finding::{Finding, FindingKind},
    identity::{Subject, Uid},
    line::Level,
    object::{Event, Meta, Pod, PodStatus, Workload},
    render::{LogStyle, render},
    resource::Kind,
};

use super::{
    selection::{Group, GroupId, Selection},
    snapshot::Snapshot,
    target::Target,
};

/// A duration longer than the correlator holds back any fact.
const ALL_HELD: SignedDuration = SignedDuration::from_hours(1);

/// A line for one group.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) level: Level,
    pub(super) group: GroupId,
    pub(super) subject: Subject,
    /// As the owner reads it, with ANSI colours.
    pub(super) text: String,
    /// Number of times it happened.
    pub(super) times: u32,
    /// The cause in the catalogue, if the line explains why something does not work.
    pub(super) cause: Option<&'static Cause>,
}

/// Requests of the correlator to the API server.
pub(super) enum Request {
    LookUp(Subject),
    CheckPresence(Subject),
}

/// The correlator and the selection of its input.
pub(super) struct Pipeline {
    correlator: Correlator,
    selection: Selection,
}

impl Pipeline {
    pub(super) fn new(target: Target) -> Self {
        let correlator = Correlator::new(Arc::new(NoRegistrations), Limits::default(), false);
        Self { correlator, selection: Selection::new(target) }
    }

    pub(super) fn group(&self, id: GroupId) -> Option<&Group> {
        self.selection.group(id)
    }

    /// The groups that are explained.
    pub(super) fn groups(&self) -> &[Group] {
        self.selection.groups()
    }

    /// Returns the lines of everything that happened, in order of time within each group.
    ///
    /// Events go before the status of a pod, which repeats some of them without a time. `is_final` is true if nothing
    /// is observed after it; otherwise repeats that are held back are returned later, when they are due.
    pub(super) fn replay(&mut self, now: Timestamp, snapshot: Snapshot, is_final: bool) -> Vec<Line> {
        let Snapshot { objects, mut events, .. } = snapshot;
        let mut objects: Vec<(ScopeId, Object)> = objects.into_values().collect();
        // Workloads first: a pod belongs to the group of its workload.
        objects.sort_by_key(|(_, object)| {
            let meta = object.meta();
            (matches!(object, Object::Pod(_)), meta.creation_timestamp, meta.namespace.clone(), meta.name.clone())
        });
        let mut selected = self.select(&objects);
        self.drop_old_sets(&mut selected, &objects, &events);
        let deleted = selected.is_empty();
        if deleted {
            objects.extend(self.deleted(&events));
            selected = self.select(&objects);
        }
        for (_, object) in &mut objects {
            let is_selected = object.meta().uid.is_some_and(|uid| selected.contains(&uid));
            self.selection.assign(object, is_selected);
        }
        if deleted {
            self.selection.set_deleted();
        }
        // The scheduler writes fractions of a second, kubelets do not: within a second, the revision decides the order.
        let second = |event: &Event| event.time().map(Timestamp::as_second);
        events.sort_by_key(|(_, event)| (second(event), event.metadata.revision()));
        let mut effects = Vec::new();
        for (scope, object) in &objects {
            let (object, how) = (without_status(object), arrival(object));
            effects.extend(self.correlator.observe(now, Observation::Seen { scope: *scope, object, how }));
        }
        for (scope, event) in events {
            effects.extend(self.correlator.observe(now, Observation::Event { scope, event }));
        }
        for (scope, object) in objects {
            effects.extend(self.correlator.observe(now, Observation::Seen { scope, object, how: Arrival::Watched }));
        }
        effects.extend(self.correlator.tick(now));
        let mut lines = self.lines(effects).0;
        if is_final {
            // Held repeats are due later. Lines about that later time, such as of a pull that goes on, are not true
            // yet.
            let later = now.saturating_add(ALL_HELD).unwrap_or(now);
            let effects = self.correlator.tick(later);
            lines.extend(self.lines(effects).0.into_iter().filter(|line| line.at < later));
        }
        lines.sort_by_key(|line| (line.group, line.at.as_second()));
        lines
    }

    /// Returns the lines of a new observation.
    pub(super) fn observe(&mut self, now: Timestamp, mut observation: Observation) -> (Vec<Line>, Vec<Request>) {
        match &mut observation {
            Observation::Seen { object, .. }
            | Observation::Gone { object, .. }
            | Observation::LookedUp { found: Ok(Some(object)), .. } => {
                let is_selected = self.selection.note(object);
                self.selection.assign(object, is_selected);
            }
            _ => {}
        }
        let effects = self.correlator.observe(now, observation);
        self.lines(effects)
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, now: Timestamp) -> (Vec<Line>, Vec<Request>) {
        let effects = self.correlator.tick(now);
        self.lines(effects)
    }

    /// Selects objects. Notes each of them several times, because a workload may be selected by its pod or by its own
    /// workload, and a pod by its workload.
    fn select(&mut self, objects: &[(ScopeId, Object)]) -> HashSet<Uid> {
        for (_, object) in objects.iter().chain(objects) {
            self.selection.note(object);
        }
        objects
            .iter()
            .filter(|(_, object)| self.selection.note(object))
            .filter_map(|(_, object)| object.meta().uid)
            .collect()
    }

    /// Drops old ReplicaSets, of which a Deployment keeps ten: those without a pod and without an Event have nothing to
    /// report, except the newest one.
    fn drop_old_sets(
        &self,
        selected: &mut HashSet<Uid>,
        objects: &[(ScopeId, Object)],
        events: &[(ScopeId, Box<Event>)],
    ) {
        let mut live: HashSet<Uid> = events.iter().filter_map(|(_, event)| event.involved_object.uid).collect();
        let mut newest: HashSet<Uid> = HashSet::new();
        for (_, object) in objects.iter().rev() {
            let Some(owner) = object.meta().controller() else { continue };
            match object {
                Object::Pod(_) => live.extend([owner.uid]),
                Object::Workload(Kind::ReplicaSet, set) => {
                    let is_newest = newest.insert(owner.uid);
                    live.extend(set.metadata.uid.filter(|_| is_newest));
                }
                Object::Workload(..) => {}
            }
        }
        let is_old = |object: &Object| matches!(object, Object::Workload(Kind::ReplicaSet, _));
        for uid in objects.iter().filter(|(_, object)| is_old(object)).filter_map(|(_, object)| object.meta().uid) {
            if !live.contains(&uid) && !self.selection.target().is_replica_set() {
                selected.remove(&uid);
            }
        }
    }

    /// Deleted objects with the requested name that still have Events.
    fn deleted(&self, events: &[(ScopeId, Box<Event>)]) -> Vec<(ScopeId, Object)> {
        let mut known = HashSet::new();
        let about = events.iter().filter_map(|(scope, event)| Some((*scope, event.subject()?)));
        about
            .filter(|(_, subject)| subject.uid != Uid::UNKNOWN)
            .filter(|(_, subject)| self.selection.target().names(subject.kind, &subject.name))
            .filter(|(_, subject)| known.insert(subject.uid))
            .map(|(scope, subject)| (scope, without_spec(&subject)))
            .collect()
    }

    fn lines(&self, effects: Vec<Effect>) -> (Vec<Line>, Vec<Request>) {
        let (mut lines, mut requests) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Finding(finding) => lines.extend(self.line(&finding)),
                Effect::LookUp(subject) => requests.push(Request::LookUp(subject)),
                Effect::CheckPresence(subject) => requests.push(Request::CheckPresence(subject)),
                _ => {}
            }
        }
        (lines, requests)
    }

    fn line(&self, finding: &Finding) -> Option<Line> {
        let group = self.selection.group_of(&finding.agents)?;
        let line = render(finding, LogStyle::default(), |token| self.selection.is_token(token));
        let is_trouble = line.level >= Level::Warn && finding.kind != FindingKind::Deleted;
        let cause = is_trouble.then(|| causes::explain(&finding.kind).causes.first().copied().unwrap_or(&UNKNOWN));
        Some(Line {
            at: line.at,
            level: line.level,
            group,
            subject: finding.subject.clone(),
            text: line.text,
            times: finding.repeat.map_or(1, |repeat| repeat.times),
            cause,
        })
    }
}

/// Arrival of an object. A deleted object has no known creation time.
fn arrival(object: &Object) -> Arrival {
    if object.meta().creation_timestamp.is_some() { Arrival::ListedChanged } else { Arrival::ListedKnown }
}

fn without_status(object: &Object) -> Object {
    match object {
        Object::Pod(pod) => {
            // The time at which it got its node decides which Events of the node concern it.
            let mut conditions = pod.status.conditions.clone();
            conditions.retain(|condition| condition.kind == "PodScheduled" && condition.status == "True");
            let status = PodStatus { conditions, ..PodStatus::default() };
            Object::Pod(Box::new(Pod { status, ..(**pod).clone() }))
        }
        Object::Workload(..) => object.clone(),
    }
}

/// An object that is known only by its Events.
fn without_spec(subject: &Subject) -> Object {
    let metadata = Meta {
        name: subject.name.to_string(),
        namespace: subject.namespace.to_string(),
        uid: Some(subject.uid),
        ..Meta::default()
    };
    match subject.kind {
        Kind::Pod => Object::Pod(Box::new(Pod { metadata, ..Pod::default() })),
        kind => Object::Workload(kind, Box::new(Workload { metadata, ..Workload::default() })),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TOKEN: &str = "22222222-2222-4333-8444-555555555555";

    fn now() -> Timestamp {
        "2026-11-27T02:00:00Z".parse().unwrap()
    }

    fn snapshot(objects: &[Value], events: &[Value]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for object in objects {
            let kind = object["kind"].as_str().unwrap();
            let object = match Kind::parse(kind).unwrap() {
                Kind::Pod => Object::Pod(serde_json::from_value(object.clone()).unwrap()),
                kind => Object::Workload(kind, serde_json::from_value(object.clone()).unwrap()),
            };
            snapshot.objects.insert(object.meta().uid.unwrap(), (ScopeId(1), object));
        }
        let events = events.iter().map(|event| (ScopeId(0), serde_json::from_value(event.clone()).unwrap()));
        snapshot.events = events.collect();
        snapshot
    }

    fn metadata(name: &str, minute: u32, owner: Option<(&str, &str)>) -> Value {
        let owners = owner.map(|(kind, name)| json!({ "kind": kind, "name": name, "uid": name, "controller": true }));
        let created = format!("2026-11-27T01:{minute:02}:00Z");
        json!({ "name": name, "namespace": "ns", "uid": name, "resourceVersion": "7", "creationTimestamp": created,
            "ownerReferences": owners.into_iter().collect::<Vec<_>>() })
    }

    fn pod(name: &str, owner: Option<(&str, &str)>, status: &Value) -> Value {
        let env = json!([{ "name": "CODER_AGENT_TOKEN", "value": TOKEN }]);
        json!({ "kind": "Pod", "metadata": metadata(name, 10, owner), "status": status,
            "spec": { "containers": [{ "name": "dev", "image": "registry/dev:1", "env": env }] } })
    }

    fn replica_set(name: &str, minute: u32) -> Value {
        json!({ "kind": "ReplicaSet", "metadata": metadata(name, minute, Some(("Deployment", "dev"))),
            "spec": { "template": { "spec": { "containers": [{ "name": "dev" }] } } } })
    }

    fn event(kind: &str, about: &str, minute: u32, count: u32, reason: &str, message: &str) -> Value {
        let at = format!("2026-11-27T01:{minute:02}:00Z");
        json!({ "metadata": { "uid": format!("{about}{minute}"), "namespace": "ns", "resourceVersion": "9" },
            "involvedObject": { "kind": kind, "namespace": "ns", "name": about, "uid": about },
            "type": if reason == "Scheduled" { "Normal" } else { "Warning" }, "reason": reason, "message": message,
            "count": count, "firstTimestamp": "2026-11-27T01:10:00Z", "lastTimestamp": at })
    }

    fn lines(target: &str, objects: &[Value], events: &[Value]) -> (Pipeline, Vec<String>) {
        let arguments: Vec<String> = target.split_whitespace().map(str::to_owned).collect();
        let mut pipeline = Pipeline::new(Target::parse(&arguments).unwrap());
        let lines = pipeline.replay(now(), snapshot(objects, events), true);
        let shown = lines.iter().map(|line| {
            let cause = if line.cause.is_some() { " !" } else { "" };
            let text = line.text.split(" → ").next().unwrap().replace("\u{1b}[1m", "").replace("\u{1b}[37m", "");
            format!("{}{cause} {}", line.at.strftime("%H:%M"), text.replace("\u{1b}[0m", ""))
        });
        let shown = shown.collect();
        (pipeline, shown)
    }

    #[test]
    fn a_fact_of_event_and_status_is_one_line_with_the_time_of_the_event() {
        let failed = "failed to resolve reference \"registry/dev:1\": registry/dev:1: not found";
        let waiting = json!({ "waiting": { "reason": "ErrImagePull", "message": failed } });
        let status = json!({ "containerStatuses": [{ "name": "dev", "state": waiting }] });
        let events = [
            event("Pod", "a", 13, 1, "Failed", "Error: ErrImagePull"),
            event("Pod", "a", 12, 1, "Failed", &format!("Failed to pull image \"registry/dev:1\": {failed}")),
            event("Pod", "a", 11, 1, "Scheduled", "Successfully assigned ns/a to node"),
        ];
        let (_, shown) = lines("pod/a", &[pod("a", None, &status)], &events);
        assert_eq!(shown[..2], ["01:10 🐳 Created pod: a", "01:11 Successfully assigned ns/a to node (Scheduled)"]);
        assert!(shown.len() == 3 && shown[2].starts_with("01:12 ! Container dev cannot start: Failed"), "{shown:#?}");
    }

    #[test]
    fn within_a_second_events_come_in_the_order_of_their_revisions() {
        let mut scheduled = event("Pod", "a", 11, 1, "Scheduled", "Successfully assigned ns/a to node");
        scheduled["lastTimestamp"] = json!(null);
        scheduled["eventTime"] = json!("2026-11-27T01:11:00.600000Z");
        let mut pulling = event("Pod", "a", 11, 1, "Slow", "one step");
        pulling["metadata"] = json!({ "uid": "e2", "namespace": "ns", "resourceVersion": "10" });
        let (_, shown) = lines("pod/a", &[pod("a", None, &json!({}))], &[pulling, scheduled]);
        assert_eq!(shown[1..], ["01:11 Successfully assigned ns/a to node (Scheduled)", "01:11 ! one step (Slow)"]);
    }

    #[test]
    fn a_pull_is_not_called_slow_before_it_is() {
        let mut pulling = event("Pod", "a", 59, 1, "Pulling", "Pulling image \"registry/dev:1\"");
        pulling["type"] = json!("Normal");
        let (_, shown) = lines("pod/a", &[pod("a", None, &json!({}))], &[pulling]);
        assert_eq!(shown[1..], ["01:59 Pulling image \"registry/dev:1\""]);
    }

    #[test]
    fn a_kill_known_from_the_status_only_has_its_own_time() {
        let end = json!({ "reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-27T01:40:00Z" });
        let status = json!({ "containerStatuses": [
            { "name": "dev", "restartCount": 1, "state": {}, "lastState": { "terminated": end } }] });
        let (_, shown) = lines("a", &[pod("a", None, &status)], &[]);
        assert!(shown.len() == 2 && shown[1].starts_with("01:40 ! Container dev was killed"), "{shown:#?}");
    }

    #[test]
    fn repeats_are_counted_up_to_the_last_one() {
        let events = [event("Pod", "a", 50, 9, "FailedMount", "no volume")];
        let (_, shown) = lines("a", &[pod("a", None, &json!({}))], &events);
        assert_eq!(shown[1..], ["01:50 ! no volume (FailedMount) (x9 over 40m)"]);
    }

    #[test]
    fn a_deployment_is_one_group_without_its_old_replica_sets() {
        let objects = [
            replica_set("dev-old", 1),
            replica_set("dev-failed", 2),
            replica_set("dev-new", 3),
            pod("dev-new-x", Some(("ReplicaSet", "dev-new")), &json!({})),
            pod("other", None, &json!({})),
        ];
        let events = [event("ReplicaSet", "dev-failed", 5, 1, "FailedCreate", "Error creating: no")];
        let (pipeline, shown) = lines("deployment/dev", &objects, &events);
        assert_eq!(pipeline.groups().len(), 1);
        let expected = [
            "01:02 🐳 Queued pod from ReplicaSet: dev-failed",
            "01:03 🐳 Queued pod from ReplicaSet: dev-new",
            "01:05 ! Error creating: no (FailedCreate)",
            "01:10 🐳 Created pod: dev-new-x",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn events_of_a_deleted_pod_are_explained_and_no_others() {
        let events = [
            event("Pod", "a", 50, 1, "FailedMount", "no volume"),
            event("Pod", "b", 51, 1, "FailedMount", "another volume"),
        ];
        let (pipeline, shown) = lines("pod/a", &[pod("c", None, &json!({}))], &events);
        assert_eq!(shown, ["01:50 ! no volume (FailedMount)"]);
        assert!(pipeline.groups()[0].deleted);
        assert!(lines("pod/d", &[pod("c", None, &json!({}))], &events).0.groups().is_empty());
    }

    #[test]
    fn no_token_of_any_object_is_shown() {
        let events = [event("Pod", "a", 50, 1, "Leak", &format!("token {TOKEN} of b"))];
        let (_, shown) = lines("pod/a", &[pod("a", None, &json!({})), pod("b", None, &json!({}))], &events);
        assert_eq!(shown[1..], ["01:50 ! token *** of b (Leak)"]);
    }

    #[test]
    fn news_after_the_replay_are_reported_once() {
        let mut pipeline = Pipeline::new(Target::All);
        assert_eq!(pipeline.replay(now(), snapshot(&[pod("a", None, &json!({}))], &[]), false).len(), 1);
        let mut observe = |object: &Value| {
            let object = Object::Pod(serde_json::from_value(object.clone()).unwrap());
            let seen = Observation::Seen { scope: ScopeId(1), object, how: Arrival::Watched };
            pipeline.observe(now(), seen).0.len()
        };
        assert_eq!((observe(&pod("a", None, &json!({}))), observe(&pod("b", None, &json!({})))), (0, 1));
    }
}
