//! Failures in the form that entries match.

use super::names;
use crate::{
    finding::{ContainerKind, FindingKind},
    render::requested,
};

/// Topic of a message. An entry matches only messages of its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// Message of the API server about a pod or claim that it refuses.
    Refused,
    /// One of the scheduler's reasons, or its whole message if that has no list of them.
    Scheduling,
    /// Events about volumes and claims.
    Volume,
    /// Image that is not pulled.
    Image,
    /// Events about the pod's sandbox and network.
    Sandbox,
    /// Container that cannot be created or started.
    Container,
    /// End of a container.
    Exit,
    /// Probes.
    Probe,
    /// Removal of a pod by the cluster.
    Disruption,
    /// Failure of a pod as a whole.
    PodFailed,
    /// Any other Event, of a pod, its node, or its workload: distinguished by its reason.
    Event,
}

impl Topic {
    /// Number of topics; [`Self::Event`] is the last one.
    pub(super) const COUNT: usize = Self::Event as usize + 1;
}

/// A failure in the form that entries match.
#[derive(Debug)]
pub(crate) struct Symptom<'a> {
    pub(super) topic: Topic,
    pub(super) reason: &'a str,
    /// Message; for an image, without quoted parts and the image's own name.
    pub(super) text: String,
    /// The same in lower case, with the same byte offsets.
    pub(super) raw: String,
    /// The same without the names that users choose ([`names`]), which must not select an entry.
    pub(super) lower: String,
    pub(super) code: Option<i32>,
    pub(super) which: ContainerKind,
    container: &'a str,
    image: &'a str,
    limit: Option<&'a str>,
}

/// Returns the topic of an Event, by its reason.
fn topic(reason: &str) -> Topic {
    match reason {
        "FailedCreate" => Topic::Refused,
        "FailedScheduling" => Topic::Scheduling,
        "FailedMount"
        | "FailedAttachVolume"
        | "FailedMapVolume"
        | "FailedUnMount"
        | "FailedBinding"
        | "ProvisioningFailed"
        | "ProvisioningCleanupFailed"
        | "WaitForFirstConsumer"
        | "WaitForPodScheduled"
        | "ExternalProvisioning"
        | "Provisioning"
        | "ProvisioningSucceeded"
        | "ClaimLost"
        | "ClaimMisbound"
        | "VolumeMismatch"
        | "VolumeResizeFailed"
        | "ExternalExpanding"
        | "FileSystemResizeFailed"
        | "VolumeFailedDelete"
        | "VolumeFailedRecycle"
        | "AlreadyMountedVolume"
        | "VolumePermissionChangeInProgress"
        | "SetVolumeOwnership"
        | "SuccessfulAttachVolume"
        | "FailedFlexExpansion"
        | "SELinuxLabel" => Topic::Volume,
        "FailedCreatePodSandBox" | "FailedPodSandBoxStatus" | "NetworkNotReady" | "SandboxChanged" => Topic::Sandbox,
        "ErrImageNeverPull" => Topic::Image,
        "Failed" | "InspectFailed" | "FailedPostStartHook" | "FailedPreStopHook" => Topic::Container,
        "Unhealthy" | "ProbeError" | "ProbeWarning" => Topic::Probe,
        "Evicted" => Topic::Disruption,
        _ => Topic::Event,
    }
}

impl<'a> Symptom<'a> {
    pub(super) fn new(topic: Topic, reason: &'a str, message: &str) -> Self {
        let text = message.split_whitespace().collect::<Vec<_>>().join(" ");
        let raw = text.to_ascii_lowercase();
        let lower = names::hidden(&raw, topic == Topic::Scheduling || reason == "NotTriggerScaleUp");
        Self {
            topic,
            reason,
            text,
            raw,
            lower,
            code: None,
            which: ContainerKind::App,
            container: "",
            image: "",
            limit: None,
        }
    }

    /// Creates the symptom of an image that is not pulled.
    pub(super) fn image(reason: &'a str, message: &str, image: &'a str) -> Self {
        let text = outside_quotes(message, image);
        let fallback = if text.trim().is_empty() { message } else { &text };
        Self { image, ..Self::new(Topic::Image, reason, fallback) }
    }

    /// Creates the symptom of a finding; `None` if its kind is not trouble. The scheduler's list of reasons is split
    /// elsewhere.
    pub(super) fn of(kind: &'a FindingKind) -> Option<Self> {
        Some(match kind {
            FindingKind::Created | FindingKind::Deleted | FindingKind::Recovered { .. } => return None,
            FindingKind::SlowPull { image, .. } => {
                Self { image, ..Self::new(Topic::Image, "Pulling", "Pulling image") }
            }
            FindingKind::Event { reason, message, .. } => {
                let message = message.strip_prefix("Error: ").unwrap_or(message);
                Self::new(topic(reason), reason, message)
            }
            FindingKind::Unhealthy { container, which, message } => {
                Self { container, which: *which, ..Self::new(Topic::Probe, "Unhealthy", message) }
            }
            FindingKind::Refused { message } => Self::new(Topic::Refused, "FailedCreate", message),
            FindingKind::Unschedulable { message } => Self::new(Topic::Scheduling, "FailedScheduling", message),
            FindingKind::Evicted { message } => Self::new(Topic::Disruption, "Evicted", message),
            FindingKind::Disrupted { reason, message } => Self::new(Topic::Disruption, reason, message),
            FindingKind::Failed { reason, message } => Self::new(Topic::PodFailed, reason, message),
            FindingKind::ImagePull { image, message, .. } => Self::image("ErrImagePull", message, image),
            FindingKind::Terminated { container, which, exit_code, reason, memory_limit, message } => {
                let cannot_start = matches!(reason.as_str(), "StartError" | "ContainerCannotRun");
                let topic = if cannot_start { Topic::Container } else { Topic::Exit };
                let limit = memory_limit.as_deref();
                let (code, which) = (Some(*exit_code), *which);
                Self { code, which, container, limit, ..Self::new(topic, reason, message) }
            }
            FindingKind::Waiting { container, which, reason, image, message, .. } => match reason.as_str() {
                "ErrImagePull"
                | "ImagePullBackOff"
                | "ErrImageNeverPull"
                | "RegistryUnavailable"
                | "InvalidImageName"
                | "SignatureValidationFailed" => {
                    Self { container, which: *which, ..Self::image(reason, message, image) }
                }
                _ => Self { container, image, which: *which, ..Self::new(Topic::Container, reason, message) },
            },
        })
    }

    /// Fills in the placeholders of a sentence: `{1}` to `{4}` are the words of the wildcards (`{ 1}` with a space
    /// before it, `{q1}` with a space and in quotes; empty if there is none). The others are `{container}`, `{image}`,
    /// `{limit}`, `{quota}`, `{code}`, `{signal}` and `{Container}`.
    pub(super) fn fill(&self, sentence: &str, words: &[&str]) -> String {
        let mut out = String::with_capacity(sentence.len() + 32);
        let mut rest = sentence;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { break };
            out.push_str(before);
            out.push_str(&self.value(name, words));
            rest = after;
        }
        out.push_str(rest);
        out
    }

    fn value(&self, name: &str, words: &[&str]) -> String {
        if let Ok(number) = name.trim_start_matches([' ', 'q']).parse::<usize>() {
            let word = number.checked_sub(1).and_then(|at| words.get(at)).map_or("", |word| bare(word));
            return match name.as_bytes()[0] {
                _ if word.is_empty() || word.len() > 160 => String::new(),
                b' ' => format!(" {word}"),
                b'q' => format!(" \"{word}\""),
                _ => word.to_owned(),
            };
        }
        let code = self.code.unwrap_or_default();
        match name {
            "container" if self.container.is_empty() => "The container".to_owned(),
            "container" => format!("{} {}", self.which.as_str(), self.container),
            "image" => self.image.to_owned(),
            "limit" => self.limit.map_or_else(|| "there was".to_owned(), |limit| format!("its limit of {limit}")),
            "code" => code.to_string(),
            "signal" => signal(code),
            "quota" => requested(self.text.split_once("exceeded quota: ").map_or("", |(_, quota)| quota)),
            _ => String::new(),
        }
    }
}

/// Removes quotes and punctuation around a word.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | ',' | ';' | ':' | '`' | '.' | '(' | ')')
    })
}

/// Returns the signal of an exit code above 128.
fn signal(code: i32) -> String {
    let name = match code - 128 {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        number => return format!("signal {number}"),
    };
    name.to_owned()
}

/// Removes the image's name and quoted parts, which hold names and URLs, from a message. A quoted transport error is
/// kept, because it shows the cause.
fn outside_quotes(message: &str, image: &str) -> String {
    let message = if image.is_empty() { message.to_owned() } else { message.replace(image, "") };
    let said = |part: &str| ["transport: ", "dial ", "error ", "failed "].iter().any(|word| part.starts_with(word));
    let parts = message.split('"').enumerate().filter(|(index, part)| index % 2 == 0 || said(part));
    parts.map(|(_, part)| part).collect()
}
