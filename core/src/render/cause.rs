//! Texts for the removal of a pod, an image that cannot be pulled, a container that does not start or ended, and
//! recoveries.

use jiff::SignedDuration;

use super::duration;
use crate::{
    causes::of_image_pull,
    finding::{ContainerKind, Stage, WaitingFor},
};

/// Maximum number of characters shown of a container's last output. The end of a log says more than its beginning.
const LAST_WORDS: usize = 300;

/// Describes why the cluster evicts the pod.
pub(super) fn disrupted(message: &str) -> String {
    match message.trim() {
        "" => "The cluster evicts the pod".to_owned(),
        message => format!("The cluster evicts the pod: {message}"),
    }
}

/// Describes an image that cannot be pulled, in the kubelet's words.
pub(super) fn image_pull(container: &str, which: ContainerKind, image: &str, message: &str) -> String {
    let kind = which.as_str();
    let who = if container.is_empty() { String::new() } else { format!("{kind} {container} cannot start: ") };
    format!("{who}Failed to pull image \"{image}\": {}", message.trim())
}

/// Describes how a container ended.
pub(super) fn terminated(container: &str, which: ContainerKind, exit_code: i32, reason: &str) -> String {
    let what = which.as_str();
    match reason {
        "OOMKilled" => format!("{what} {container} was killed: out of memory (OOMKilled, exit code {exit_code})"),
        "" => format!("{what} {container} ended with exit code {exit_code}"),
        reason => format!("{what} {container} ended with exit code {exit_code} ({reason})"),
    }
}

/// Describes why a container does not start, with the kubelet's reason. `container` is its kind and name.
pub(super) fn waiting(container: &str, why: WaitingFor, reason: &str, image: &str, message: &str) -> String {
    let text = match why {
        WaitingFor::Image if of_image_pull(message, image).is_none() && !message.is_empty() => {
            format!("{container} cannot start: image \"{image}\" cannot be pulled: {message}")
        }
        WaitingFor::Image => format!("{container} cannot start: image \"{image}\" cannot be pulled"),
        WaitingFor::ImageName => format!("{container} cannot start: \"{image}\" is not a valid image name"),
        WaitingFor::CrashLoop => format!("{container} keeps crashing"),
        WaitingFor::Config | WaitingFor::Container | WaitingFor::Hook if message.is_empty() => {
            format!("{container} cannot start")
        }
        WaitingFor::Config | WaitingFor::Container | WaitingFor::Hook => {
            format!("{container} cannot start: {message}")
        }
    };
    if reason.is_empty() || text.contains(reason) { text } else { format!("{text} ({reason})") }
}

/// Describes a failed probe.
pub(super) fn unhealthy(container: &str, which: ContainerKind, message: &str) -> String {
    let message = message.trim().trim_end_matches(':');
    if container.is_empty() { message.to_owned() } else { format!("{} {container}: {message}", which.as_str()) }
}

/// Describes a pull that takes long.
pub(super) fn slow_pull(container: &str, which: ContainerKind, image: &str, elapsed: SignedDuration) -> String {
    let what = format!("image \"{image}\" has been pulled for {}", duration(elapsed));
    let which = which.as_str();
    if container.is_empty() { format!("I{}", &what[1..]) } else { format!("{which} {container} waits: {what}") }
}

/// Describes a recovery.
pub(super) fn recovered(stage: &Stage, after: SignedDuration) -> String {
    let after = duration(after);
    match stage {
        Stage::Created => format!("The pod could be created after {after}"),
        Stage::Scheduled => format!("The pod has a node: scheduled after {after}"),
        Stage::Prepared => format!("The pod's volumes and network are ready after {after}"),
        Stage::Pulled(image) => format!("Image \"{image}\" pulled after {after}"),
        Stage::Started(which, container) => format!("{} {container} started after {after}", which.as_str()),
        Stage::Steady(which, container) => {
            format!("{} {container} runs and is ready after {after} of crashes", which.as_str())
        }
        Stage::Done(container) => format!("Init container {container} succeeded after {after} of crashes"),
        Stage::Ready => format!("The workspace's pod is ready after {after}"),
    }
}

/// Returns the end of a container's last output, on one line after a colon; empty if there is none.
pub(super) fn last_words(message: &str) -> String {
    let words = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let length = words.chars().count();
    match length.checked_sub(LAST_WORDS) {
        _ if words.is_empty() => String::new(),
        Some(over) if over > 0 => format!(": …{}", words.chars().skip(over + 1).collect::<String>()),
        _ => format!(": {words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_one_short_line() {
        assert_eq!(last_words(" \n"), "");
        assert_eq!(last_words("agent: cannot reach\nhttps://coder\n"), ": agent: cannot reach https://coder");
        let long = last_words(&format!("{} the end", "x ".repeat(4_000)));
        assert!(
            long.starts_with(": …") && long.ends_with("the end") && long.chars().count() == LAST_WORDS + 2,
            "{long}"
        );
    }

    #[test]
    fn the_message_is_in_the_line() {
        assert!(disrupted("Eviction API: evicting").contains("Eviction API: evicting"));
        assert_eq!(
            image_pull("dev", ContainerKind::App, "img", "401 Unauthorized"),
            "Container dev cannot start: Failed to pull image \"img\": 401 Unauthorized"
        );
    }
}
