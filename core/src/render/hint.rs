//! Plain sentences for the failures that are known: what it means, and what the reader can do.

mod image;
mod refusal;
mod scheduling;

pub(super) use self::{refusal::refused, scheduling::unschedulable};
use crate::finding::{ImageFailure, WaitingFor};

/// Whether a message says that an object of this kind does not exist: `secret "x" not found`.
fn names_missing(message: &str, kind: &str) -> bool {
    message.match_indices(kind).any(|(at, _)| {
        let rest = message[at + kind.len()..].strip_prefix(" \"");
        rest.and_then(|rest| rest.split_once('"')).is_some_and(|(_, after)| after.starts_with(" not found"))
    })
}

/// For an Event whose message alone does not help.
pub(super) fn event(reason: &str, message: &str) -> Option<String> {
    let hint = match reason {
        "FailedMount" | "FailedAttachVolume" => return Some(volume(message)),
        "FailedCreatePodSandBox" if message.contains("no runtime for ") => {
            "The node does not have the container runtime of the RuntimeClass that the template names."
        }
        "FailedCreatePodSandBox" => "The node could not set up the pod's network or sandbox. It tries again by itself.",
        "Preempted" => "A pod of higher priority took its place.",
        "NodeNotReady" => "The node that runs the workspace does not answer.",
        "FailedBinding" | "ProvisioningFailed" => {
            "The workspace's volume could not be created. Ask your administrator."
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn volume(message: &str) -> String {
    let hint = if message.contains("Multi-Attach") {
        "The volume is still in use on another node, perhaps by the previous run of this workspace. It is freed when that \
         pod is gone."
    } else if names_missing(message, "secret") {
        "A Secret that the template mounts does not exist in this namespace."
    } else if names_missing(message, "configmap") {
        "A ConfigMap that the template mounts does not exist in this namespace."
    } else if message.contains("references non-existent secret key")
        || message.contains("references non-existent config key")
    {
        "A Secret or ConfigMap that the template mounts does not have the key that the template names."
    } else if message.contains("not found in the list of registered CSI drivers") {
        "The node does not have the storage driver that the volume needs, or it is still starting."
    } else {
        "A volume cannot be mounted yet. Kubernetes tries again by itself; if this stays, ask your administrator."
    };
    hint.to_owned()
}

/// For a pod that was evicted.
pub(super) fn evicted(message: &str) -> Option<String> {
    let says = |words: &str| message.contains(words);
    let own_limit =
        says("exceeds the limit") || says("exceeds the total limit") || says("exceeded its local ephemeral");
    let hint = if own_limit {
        "The workspace used more temporary disk space than its limit allows. Keep large files in its home volume, or ask \
         for a higher limit in the template."
    } else if says("low on resource: memory") || says("MemoryPressure") {
        "The node ran out of memory and ended the workspace's pod. Start the workspace again; if it happens often, the template should request as much \
         memory as the workspace uses."
    } else if says("low on resource: ephemeral-storage") || says("DiskPressure") {
        "The node ran out of disk space. Start the workspace again; if it happens often, tell your administrator."
    } else if says("low on resource: inodes") || says("low on resource: pids") || says("PIDPressure") {
        "The node ran out of inodes or process ids. Start the workspace again; if it happens often, tell your administrator."
    } else {
        return None;
    };
    Some(hint.to_owned())
}

/// How a container ended, and what that means.
pub(super) fn terminated(
    what: &str,
    container: &str,
    exit_code: i32,
    reason: &str,
    memory_limit: Option<&str>,
) -> (String, Option<String>) {
    if reason == "OOMKilled" {
        let limit = memory_limit.map_or_else(|| "there was".to_owned(), |limit| format!("its limit of {limit}"));
        return (
            format!("{what} {container} was killed: out of memory (OOMKilled, exit code {exit_code})"),
            Some(format!(
                "It used more memory than {limit}. Choose a larger size for the workspace, or run less in it."
            )),
        );
    }
    let text = match reason {
        "" => format!("{what} {container} ended with exit code {exit_code}"),
        reason => format!("{what} {container} ended with exit code {exit_code} ({reason})"),
    };
    let meaning = match exit_code {
        1 => "Its command failed. The container's own log says why.",
        126 => "It usually means that a command is not executable.",
        127 => "It usually means that a command does not exist in the image.",
        137 => "It was killed (SIGKILL).",
        139 => "It crashed (segmentation fault).",
        143 => "It was asked to stop (SIGTERM).",
        _ => return (text, None),
    };
    (text, Some(meaning.to_owned()))
}

/// Why a container does not start, with the kubelet's reason, and what that means.
pub(super) fn waiting(
    container: &str,
    why: WaitingFor,
    reason: &str,
    image: &str,
    message: &str,
) -> (String, Option<String>) {
    let text = match why {
        WaitingFor::Image if ImageFailure::parse(message, image).is_none() && !message.is_empty() => {
            format!("Container {container} cannot start: image \"{image}\" cannot be pulled: {message}")
        }
        WaitingFor::Image => format!("Container {container} cannot start: image \"{image}\" cannot be pulled"),
        WaitingFor::ImageName => format!("Container {container} cannot start: \"{image}\" is not a valid image name"),
        WaitingFor::CrashLoop => format!("Container {container} keeps crashing"),
        WaitingFor::Config | WaitingFor::Container => format!("Container {container} cannot start: {message}"),
    };
    let text = if reason.is_empty() || text.contains(reason) { text } else { format!("{text} ({reason})") };
    let hint = match why {
        WaitingFor::Image => ImageFailure::parse(message, image).map(image::pull),
        WaitingFor::ImageName => Some("Correct the image in the template."),
        WaitingFor::CrashLoop => {
            Some("Kubernetes waits longer before each new try. The container's own log says why it ends.")
        }
        WaitingFor::Config => config(message),
        WaitingFor::Container => create(message),
    };
    (text, hint.map(str::to_owned))
}

/// For a container that cannot be configured.
fn config(message: &str) -> Option<&'static str> {
    Some(if names_missing(message, "secret") {
        "A Secret that the template refers to does not exist in this namespace."
    } else if names_missing(message, "configmap") {
        "A ConfigMap that the template refers to does not exist in this namespace."
    } else if message.starts_with("couldn't find key ") {
        "The Secret or ConfigMap exists and does not have the key that the template refers to."
    } else if message.contains("runAsNonRoot") {
        "The template demands that the container does not run as root, and the image does not name another user by number. \
         Set runAsUser in the template, or USER in the image."
    } else {
        return None;
    })
}

/// For a container that cannot be created or started.
fn create(message: &str) -> Option<&'static str> {
    Some(if message.contains("seccomp profile") {
        "The node does not have the seccomp profile that the template names."
    } else if message.contains("executable file not found") {
        "The command of the template does not exist in the image."
    } else if message.contains("unable to start container process: exec: ") {
        "The command of the template cannot be executed in the image."
    } else {
        return None;
    })
}

#[cfg(test)]
mod tests;
