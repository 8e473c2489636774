//! Facts in the conditions of a workload: a controller gives up, or cannot create a pod.
//!
//! A Deployment writes no Event about them, and Events of the other kinds may be rate-limited. A condition and the
//! Event for the same fact have the same cause, so they become one line.

use super::{
    event_fact::{event_cause, without_pod_name},
    fact::{StatusFact, cause},
};
use crate::{
    finding::FindingKind,
    object::{Condition, Workload},
    resource::Kind,
};

/// Returns the facts in a workload's conditions, except those of an earlier spec.
pub(super) fn of_workload(kind: Kind, workload: &Workload) -> Vec<StatusFact> {
    // A Job has no observedGeneration: its template does not change.
    let is_stale = workload.status.observed_generation.is_some_and(|seen| seen < workload.metadata.generation);
    if is_stale {
        return Vec::new();
    }
    let name = &workload.metadata.name;
    let mut facts: Vec<StatusFact> = Vec::new();
    for condition in &workload.status.conditions {
        let Some(fact) = of_condition(kind, name, condition) else { continue };
        // A Job first reports that it is about to fail, then that it has failed.
        if facts.iter().all(|known| known.cause != fact.cause) {
            facts.push(fact);
        }
    }
    facts
}

fn of_condition(kind: Kind, name: &str, condition: &Condition) -> Option<StatusFact> {
    let Condition { reason, message, .. } = condition;
    let (kind, cause) = match (kind, condition.kind.as_str(), condition.status.as_str()) {
        // The Deployment's own condition of that name is a copy of this one.
        (Kind::ReplicaSet, "ReplicaFailure", "True") if reason == "FailedCreate" => {
            let kind = FindingKind::Refused { message: without_pod_name(name, &format!("Error creating: {message}")) };
            let cause = cause(&kind);
            (kind, cause)
        }
        (Kind::Deployment, "Progressing", "False") | (Kind::Job, "FailureTarget" | "Failed", "True") => {
            let kind = FindingKind::Event { reason: reason.clone(), message: message.clone(), warning: true };
            let cause = event_cause("", &kind);
            (kind, cause)
        }
        _ => return None,
    };
    let at = condition.last_transition_time;
    Some(StatusFact { cause, end: None, at, began: at, kind })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn facts(kind: Kind, conditions: &Value, generations: (i64, Option<i64>)) -> Vec<FindingKind> {
        let workload = json!({"metadata": {"name": "ws", "generation": generations.0},
            "status": {"observedGeneration": generations.1, "conditions": conditions}});
        let facts = of_workload(kind, &serde_json::from_value(workload).unwrap());
        facts.into_iter().map(|fact| fact.kind).collect()
    }

    fn event(reason: &str, message: &str) -> FindingKind {
        FindingKind::Event { reason: reason.into(), message: message.into(), warning: true }
    }

    #[test]
    fn a_deployment_without_progress_is_reported() {
        let timed_out = json!([
            {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "message": "m"},
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "m"},
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"},
        ]);
        assert_eq!(facts(Kind::Deployment, &timed_out, (2, Some(2))), [event("ProgressDeadlineExceeded", "timed out")]);
        assert_eq!(facts(Kind::Deployment, &timed_out, (3, Some(2))), [], "it is about the template before");
        let progressing = json!([{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]);
        assert_eq!(facts(Kind::Deployment, &progressing, (2, Some(2))), []);
    }

    #[test]
    fn a_refusal_has_the_words_of_its_event() {
        let message = "pods \"ws-vgfrf\" is forbidden: exceeded quota: q";
        let conditions =
            json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}]);
        let refused = "Error creating: pods \"ws-…\" is forbidden: exceeded quota: q".to_owned();
        assert_eq!(facts(Kind::ReplicaSet, &conditions, (1, Some(1))), [FindingKind::Refused { message: refused }]);
    }

    #[test]
    fn a_job_fails_once() {
        let [target, failed] = ["FailureTarget", "Failed"]
            .map(|kind| json!({"type": kind, "status": "True", "reason": "DeadlineExceeded", "message": "too long"}));
        assert_eq!(facts(Kind::Job, &json!([target, failed]), (1, None)), [event("DeadlineExceeded", "too long")]);
        let complete = json!([{"type": "Complete", "status": "True", "reason": "CompletionsReached"}]);
        assert_eq!(facts(Kind::Job, &complete, (1, None)), []);
    }
}
