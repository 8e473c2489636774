//! The words for why a pod is taken away, an image cannot be pulled, a container ended.

/// Characters shown of a container's own last words; the end of a log says more than its beginning.
const LAST_WORDS: usize = 300;

/// Why the cluster takes the pod away, and what the reader can do.
pub(super) fn disrupted(reason: &str, message: &str) -> (String, &'static str) {
    let text = match message.trim() {
        "" => "The cluster evicts the pod".to_owned(),
        message => format!("The cluster evicts the pod: {message}"),
    };
    let hint = match reason {
        "EvictionByEvictionAPI" => {
            "Its node is being drained, for an upgrade or to save nodes. If the workspace does not come back by itself, \
             start it again."
        }
        "DeletionByTaintManager" => {
            "Its node does not answer or was closed to it by a taint. If the workspace does not come back by itself, \
             start it again; if it happens often, ask your administrator."
        }
        "PreemptionByScheduler" => {
            "A pod of higher priority took its place. It starts again when there is room; ask your administrator if it \
             happens often."
        }
        "DeletionByPodGC" => {
            "Its node no longer exists. If the workspace does not come back by itself, start it again."
        }
        _ => "If the workspace does not come back by itself, start it again.",
    };
    (text, hint)
}

/// Which image cannot be pulled, in the kubelet's words.
pub(super) fn image_pull(container: &str, image: &str, message: &str) -> String {
    let who = if container.is_empty() { String::new() } else { format!("Container {container} cannot start: ") };
    format!("{who}Failed to pull image \"{image}\": {}", message.trim())
}

/// The end of what a container said last, on one line, behind a colon; empty if it said nothing.
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
        let (text, hint) = disrupted("EvictionByEvictionAPI", "Eviction API: evicting");
        assert!(text.contains("Eviction API: evicting") && hint.contains("drained"));
        assert_eq!(
            image_pull("dev", "img", "401 Unauthorized"),
            "Container dev cannot start: Failed to pull image \"img\": 401 Unauthorized"
        );
    }
}
