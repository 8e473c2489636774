//! What is known of a failure, in the form that entries look at.

use super::names;
use crate::{
    finding::{ContainerKind, FindingKind},
    render::requested,
};

/// What a message is about. An entry looks at the messages of its topic alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// What the API server says of a pod or claim that it refuses.
    Refused,
    /// One of the scheduler's reasons, or its whole message where that has no list of them.
    Scheduling,
    /// Events about volumes and claims.
    Volume,
    /// Why an image is not pulled.
    Image,
    /// Events about the pod's sandbox and network.
    Sandbox,
    /// Why a container cannot be created or started.
    Container,
    /// How a container ended.
    Exit,
    /// Probes.
    Probe,
    /// Why a pod is taken away.
    Disruption,
    /// Why a pod failed as a whole.
    PodFailed,
    /// Any other Event, of a pod, its node, or its workload: distinguished by its reason.
    Event,
}

/// A failure, as an entry sees it.
#[derive(Debug)]
pub(crate) struct Symptom<'a> {
    pub(super) topic: Topic,
    pub(super) reason: &'a str,
    /// The message; for an image without quoted parts and the image's own name.
    pub(super) text: String,
    /// The same in lower case, with the same byte offsets.
    pub(super) raw: String,
    /// The same without names that others choose ([`names`]): they select no entry.
    pub(super) lower: String,
    pub(super) code: Option<i32>,
    pub(super) which: ContainerKind,
    container: &'a str,
    image: &'a str,
    limit: Option<&'a str>,
}

/// The topic of an Event, by its reason.
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

    /// Of an image that is not pulled.
    pub(super) fn image(reason: &'a str, message: &str, image: &'a str) -> Self {
        let text = outside_quotes(message, image);
        let fallback = if text.trim().is_empty() { message } else { &text };
        Self { image, ..Self::new(Topic::Image, reason, fallback) }
    }

    /// Of a finding; `None` for what is no trouble by its kind. The scheduler's list of reasons is taken apart elsewhere.
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

    /// A sentence with its placeholders filled in: `{1}` to `{4}` are the wildcards' words (`{ 1}` with a space before
    /// it, `{q1}` with a space and in quotes; nothing where there is none), `{container}`, `{image}`, `{limit}`, `{quota}`, `{code}`,
    /// `{signal}` and `{Container}`.
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

/// A word without quotes and punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | ',' | ';' | ':' | '`' | '.' | '(' | ')')
    })
}

/// The signal of an exit code above 128.
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

/// A message without the image's name and without what is quoted, which holds names and URLs; a transport error is quoted too, and that
/// one says which.
fn outside_quotes(message: &str, image: &str) -> String {
    let message = if image.is_empty() { message.to_owned() } else { message.replace(image, "") };
    let said = |part: &str| ["transport: ", "dial ", "error ", "failed "].iter().any(|word| part.starts_with(word));
    let parts = message.split('"').enumerate().filter(|(index, part)| index % 2 == 0 || said(part));
    parts.map(|(_, part)| part).collect()
}
