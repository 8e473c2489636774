//! Pod statuses as the kubelet writes them.

use std::fmt::Write;

use serde_json::{Value, json};

use super::event::Subject;

/// The state of all containers of a list. Messages are Go template pipelines in which `$item` is the container.
#[derive(Debug, Clone)]
pub(super) enum State {
    Waiting { reason: &'static str, message: Option<String> },
    Running,
    Terminated { exit_code: u8, reason: &'static str },
}

impl State {
    pub(super) const fn waiting(reason: &'static str) -> Self {
        Self::Waiting { reason, message: None }
    }

    pub(super) const fn terminated(exit_code: u8, reason: &'static str) -> Self {
        Self::Terminated { exit_code, reason }
    }

    fn text(&self) -> String {
        match self {
            Self::Waiting { reason, message: None } => format!("waiting: {{reason: {reason}}}"),
            Self::Waiting { reason, message: Some(message) } => {
                format!("waiting: {{reason: {reason}, message: {{{{ {message} | Quote }}}}}}")
            }
            Self::Running => "running: {startedAt: {{ $now | Quote }}}".to_owned(),
            Self::Terminated { exit_code, reason } => format!(
                "terminated: {{exitCode: {exit_code}, reason: {reason}, \
                 startedAt: {{{{ or $.status.startTime $now | Quote }}}}, finishedAt: {{{{ $now | Quote }}}}}}"
            ),
        }
    }

    /// The state as the last state of the container `$index`. A termination keeps its times from the previous status.
    fn text_of_last(&self) -> String {
        let Self::Terminated { exit_code, reason } = self else { return self.text() };
        // The space keeps the brace of the object apart from those of the template.
        format!(
            " {{{{ $was := index $.status.containerStatuses $index }}}}\
             {{{{ $end := or $was.state.terminated $was.lastState.terminated }}}}\
             terminated: {{exitCode: {exit_code}, reason: {reason}, \
             startedAt: {{{{ $end.startedAt | Quote }}}}, finishedAt: {{{{ $end.finishedAt | Quote }}}}}}"
        )
    }
}

/// Builder of a status: all conditions, and the other fields that were set.
#[derive(Debug, Clone)]
pub(super) struct Status {
    conditions: String,
    rest: String,
}

impl Status {
    /// A status with this phase and these conditions.
    pub(super) fn new(phase: &str, initialized: bool, ready: bool) -> Self {
        let mut status = Self { conditions: String::new(), rest: format!("phase: {phase}\n") };
        let unready = r#"printf "containers with unready status: [%s]" (index .spec.containers 0).name"#;
        let incomplete = r#"printf "containers with incomplete status: [%s]" (index .spec.initContainers 0).name"#;
        status.condition("PodReadyToStartContainers", true, None);
        status.condition("Initialized", initialized, Some(("ContainersNotInitialized", incomplete)));
        status.condition("Ready", ready, Some(("ContainersNotReady", unready)));
        status.condition("ContainersReady", ready, Some(("ContainersNotReady", unready)));
        status
    }

    /// The status of an initialized pod whose containers have been created.
    pub(super) fn running(ready: bool) -> Self {
        Self::new("Running", true, ready)
    }

    /// Adds a condition; `why` (reason and message) is included if it is false.
    fn condition(&mut self, name: &str, holds: bool, why: Option<(&str, &str)>) {
        let why = match why {
            Some((reason, message)) if !holds => format!("reason: {reason}, message: {{{{ {message} | Quote }}}}"),
            _ => "reason: null, message: null".to_owned(),
        };
        let value = if holds { "True" } else { "False" };
        let line = format!(r#"{{type: {name}, status: "{value}", lastTransitionTime: {{{{ $now | Quote }}}}, {why}}}"#);
        let _ = writeln!(self.conditions, "- {line}");
    }

    /// Adds start time and addresses, as in a pod's first status.
    pub(super) fn placed(mut self) -> Self {
        self.rest.push_str(concat!(
            "startTime: {{ or .status.startTime $now | Quote }}\n",
            "hostIP: {{ NodeIPWith .spec.nodeName | Quote }}\n",
            r#"podIP: {{ PodIPWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) "#,
            r#"( or .metadata.name "" ) ( or .metadata.namespace "" ) | Quote }}"#,
            "\n",
        ));
        self
    }

    /// Adds all containers with this state, restart count and last state.
    pub(super) fn containers(self, state: &State, restarts: u32, last: Option<&State>) -> Self {
        self.list(Subject::Container, state, restarts, last)
    }

    /// Adds all init containers with this state.
    pub(super) fn init_containers(self, state: &State) -> Self {
        self.list(Subject::InitContainer, state, 0, None)
    }

    fn list(mut self, of: Subject, state: &State, restarts: u32, last: Option<&State>) -> Self {
        let (key, spec) = match of {
            Subject::InitContainer => ("initContainerStatuses", of.list()),
            Subject::Container | Subject::Pod => ("containerStatuses", of.list()),
        };
        let running = matches!(state, State::Running);
        let completed = matches!(state, State::Terminated { exit_code: 0, .. });
        // An init container is ready once it is done, any other while it runs.
        let ready = if of == Subject::InitContainer { completed } else { running };
        // A container that has not been created has no ID.
        let made = !matches!(state, State::Waiting { .. }) || last.is_some();
        let id = r#"{{ printf "containerd://%s" (sha256sum (printf "%s%s" $.metadata.uid $item.name)) | Quote }}"#;
        let _ = write!(
            self.rest,
            "{key}:\n\
             {{{{ range $index, $item := .spec.{spec} }}}}\n\
             - name: {{{{ $item.name | Quote }}}}\n  \
               image: {{{{ $item.image | Quote }}}}\n  \
               imageID: \"\"\n  \
               containerID: {}\n  \
               ready: {ready}\n  \
               started: {running}\n  \
               restartCount: {restarts}\n  \
               state: {{{}}}\n  \
               lastState: {{{}}}\n\
             {{{{ end }}}}\n",
            if made { id } else { "null" },
            state.text(),
            last.map(State::text_of_last).unwrap_or_default(),
        );
        self
    }

    /// Adds the pod's reason and message; the message is a Go template pipeline.
    pub(super) fn because(mut self, reason: &str, message: &str) -> Self {
        let _ = write!(self.rest, "reason: {reason}\nmessage: {{{{ {message} | Quote }}}}\n");
        let condition = format!(
            "- {{type: DisruptionTarget, status: \"True\", lastTransitionTime: {{{{ $now | Quote }}}}, \
             reason: TerminationByKubelet, message: {{{{ {message} | Quote }}}}}}\n"
        );
        self.conditions.push_str(&condition);
        self
    }

    /// The step that writes it.
    pub(super) fn step(self) -> Value {
        let template = format!("{{{{ $now := Now }}}}\nconditions:\n{}{}", self.conditions, self.rest);
        json!({ "patch": { "subresource": "status", "root": "status", "template": template } })
    }
}
