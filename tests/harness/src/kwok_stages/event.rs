//! Events with the kubelet's messages, as of Kubernetes 1.37 (pkg/kubelet).

use serde_json::{Value, json};

/// The subject of an Event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// The first container.
    Container,
    /// The first init container.
    InitContainer,
    /// The pod itself.
    Pod,
}

impl Subject {
    /// The list in the pod's spec.
    pub(super) const fn list(self) -> &'static str {
        match self {
            Self::InitContainer => "initContainers",
            Self::Container | Self::Pod => "containers",
        }
    }
}

/// Builder of an Event. Its message is a Go template pipeline in which `$c` is the container.
#[derive(Debug, Clone)]
pub(super) struct Event {
    of: Subject,
    kind: &'static str,
    reason: &'static str,
    message: String,
    count: u32,
    name: String,
}

impl Event {
    fn new(of: Subject, kind: &'static str, reason: &'static str, message: &str) -> Self {
        let name = format!("{}-{}", reason.to_lowercase(), of.list().to_lowercase());
        Self { of, kind, reason, message: message.to_owned(), count: 1, name }
    }

    pub(super) fn normal(of: Subject, reason: &'static str, message: &str) -> Self {
        Self::new(of, "Normal", reason, message)
    }

    pub(super) fn warning(of: Subject, reason: &'static str, message: &str) -> Self {
        Self::new(of, "Warning", reason, message)
    }

    /// Sets the count. Above one it replaces the Event of the same pod and name.
    pub(super) fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// Sets another name, for an Event of the same reason with another message.
    pub(super) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The step that writes it.
    pub(super) fn step(self) -> Value {
        let Self { of, kind, reason, message, count, name } = self;
        let list = of.list();
        let field = match of {
            Subject::Pod => String::new(),
            Subject::Container | Subject::InitContainer => {
                format!(r#"fieldPath: {{{{ printf "spec.{list}{{%s}}" $c.name | Quote }}}}"#)
            }
        };
        // A repeated Event began earlier; the pod's start time is close enough.
        let first = if count > 1 { ".status.startTime" } else { "$now" };
        let template = format!(
            r#"
{{{{ $now := Now }}}}
{{{{ $c := index .spec.{list} 0 }}}}
apiVersion: v1
kind: Event
metadata:
  name: {{{{ printf "%s.%s.{name}" .metadata.name (trunc 8 .metadata.uid) | Quote }}}}
involvedObject:
  apiVersion: v1
  kind: Pod
  namespace: {{{{ .metadata.namespace | Quote }}}}
  name: {{{{ .metadata.name | Quote }}}}
  uid: {{{{ .metadata.uid | Quote }}}}
  resourceVersion: {{{{ .metadata.resourceVersion | Quote }}}}
  {field}
type: {kind}
reason: {reason}
message: {{{{ {message} | Quote }}}}
source:
  component: kubelet
  host: {{{{ .spec.nodeName | Quote }}}}
reportingComponent: kubelet
reportingInstance: {{{{ .spec.nodeName | Quote }}}}
count: {count}
firstTimestamp: {{{{ {first} | Quote }}}}
lastTimestamp: {{{{ $now | Quote }}}}
"#
        );
        json!({ "apply": { "type": "merge", "template": template } })
    }
}

pub(super) fn pulling(of: Subject) -> Event {
    Event::normal(of, "Pulling", r#"printf "Pulling image %q" $c.image"#)
}

pub(super) fn pulled(of: Subject) -> Event {
    let text = "Successfully pulled image %q in 204ms (204ms including waiting). Image size: 187325811 bytes.";
    Event::normal(of, "Pulled", &format!(r#"printf "{text}" $c.image"#))
}

/// The image of a restarted container.
pub(super) fn present(of: Subject) -> Event {
    let text = "Container image %q already present on machine and can be accessed by the pod";
    Event::normal(of, "Pulled", &format!(r#"printf "{text}" $c.image"#)).named("present")
}

/// The Events Created and Started, with their count.
pub(super) fn started(of: Subject, count: u32) -> [Value; 2] {
    [("Created", r#""Container created""#), ("Started", r#""Container started""#)]
        .map(|(reason, message)| Event::normal(of, reason, message).count(count).step())
}
