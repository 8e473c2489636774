//! Builder of kwok Stage objects.

use serde_json::{Value, json};

use crate::scenarios::{ANNOTATION, Scenario};

/// A condition on a pod: a jq query and its expected result.
#[derive(Debug, Clone)]
pub(super) enum When {
    Exists(String),
    Absent(String),
    Is(String, &'static str),
    IsNot(String, &'static str),
}

impl When {
    fn expression(&self) -> Value {
        match self {
            Self::Exists(key) => json!({ "key": key, "operator": "Exists" }),
            Self::Absent(key) => json!({ "key": key, "operator": "DoesNotExist" }),
            Self::Is(key, value) => json!({ "key": key, "operator": "In", "values": [value] }),
            Self::IsNot(key, value) => json!({ "key": key, "operator": "NotIn", "values": [value] }),
        }
    }
}

/// Builder of a stage.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    name: String,
    scenario: Option<Scenario>,
    delay_milliseconds: u32,
    delay_until: Option<String>,
    when: Vec<When>,
    steps: Vec<Value>,
}

impl Stage {
    /// A stage for pods of a scenario, or without one, that are not being deleted.
    pub(super) fn new(scenario: Option<Scenario>, name: &str, delay_milliseconds: u32) -> Self {
        let mut when = vec![When::Absent(".metadata.deletionTimestamp".to_owned())];
        if scenario.is_none() {
            when.push(When::Absent(format!(".metadata.annotations[\"{ANNOTATION}\"]")));
        }
        Self { name: name.to_owned(), scenario, delay_milliseconds, delay_until: None, when, steps: Vec::new() }
    }

    /// A stage for all pods that are being deleted.
    pub(super) fn of_deleted(name: &str, delay_milliseconds: u32) -> Self {
        let when = vec![When::Exists(".metadata.deletionTimestamp".to_owned())];
        Self { name: name.to_owned(), scenario: None, delay_milliseconds, delay_until: None, when, steps: Vec::new() }
    }

    pub(super) fn when(mut self, when: When) -> Self {
        self.when.push(when);
        self
    }

    pub(super) fn phase(self, phase: &'static str) -> Self {
        self.when(When::Is(".status.phase".to_owned(), phase))
    }

    /// Requires that the first container waits for this reason.
    pub(super) fn waiting(self, reason: &'static str) -> Self {
        self.when(When::Is(".status.containerStatuses.[0].state.waiting.reason".to_owned(), reason))
    }

    /// Requires that the first container is in this state: `running` or `terminated`.
    pub(super) fn state(self, state: &str) -> Self {
        self.when(When::Exists(format!(".status.containerStatuses.[0].state.{state}")))
    }

    /// Requires this restart count of the first container.
    pub(super) fn restarts(self, count: u32) -> Self {
        let query = format!(".status.containerStatuses.[0] | select(.restartCount == {count}) | .name");
        self.when(When::Exists(query))
    }

    /// Delays until the time that a jq query of the pod returns, if it returns one.
    pub(super) fn until(mut self, query: String) -> Self {
        self.delay_until = Some(query);
        self
    }

    pub(super) fn step(mut self, step: Value) -> Self {
        self.steps.push(step);
        self
    }

    pub(super) fn steps(mut self, steps: impl IntoIterator<Item = Value>) -> Self {
        self.steps.extend(steps);
        self
    }

    /// The Stage object.
    pub(super) fn object(&self) -> Value {
        let mut selector = json!({ "matchExpressions": self.when.iter().map(When::expression).collect::<Vec<_>>() });
        let mut name = self.name.clone();
        if let Some(scenario) = self.scenario {
            selector["matchAnnotations"] = json!({ ANNOTATION: scenario.name() });
            name = format!("{scenario}-{name}");
        }
        let mut delay = json!({ "durationMilliseconds": self.delay_milliseconds });
        if let Some(query) = &self.delay_until {
            delay["durationFrom"] = json!({ "expressionFrom": query });
        }
        json!({
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": "Stage",
            "metadata": { "name": name },
            "spec": {
                "resourceRef": { "apiGroup": "v1", "kind": "Pod" },
                "selector": selector,
                "delay": delay,
                "steps": self.steps,
            },
        })
    }
}

/// The step that removes a pod.
pub(super) fn delete() -> Value {
    json!({ "delete": true })
}
