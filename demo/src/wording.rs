//! Beginnings of the product's lines that do not come from an Event. Deliberately not shared with the product: the demo
//! must fail when its texts change.

/// Prefix of an Event that client-go aggregated with similar ones.
const COMBINED: &str = "(combined from similar events): ";

/// Text before the name of a rejected pod.
const REFUSED: &str = "pods \"";

pub(crate) fn created_pod(name: &str) -> String {
    format!("🐳 Created pod: {name}")
}

pub(crate) fn deleted_pod(name: &str) -> String {
    format!("🗑️ Deleted pod: {name}")
}

pub(crate) fn queued_pod(replica_set: &str) -> String {
    format!("🐳 Queued pod from ReplicaSet: {replica_set}")
}

pub(crate) fn deleted_replica_set(name: &str) -> String {
    format!("🗑️ Deleted ReplicaSet: {name}")
}

pub(crate) fn ended(container: &str, exit_code: i32, reason: &str) -> String {
    match reason {
        "OOMKilled" => format!("Container {container} was killed: out of memory"),
        _ => format!("Container {container} ended with exit code {exit_code}"),
    }
}

/// The beginning of a line about a waiting container; `None` for the reasons of an ordinary start.
pub(crate) fn waiting(container: &str, reason: &str) -> Option<String> {
    match reason {
        "ErrImagePull" | "ImagePullBackOff" => {
            Some(format!("Container {container} cannot start: Failed to pull image"))
        }
        "CrashLoopBackOff" => Some(format!("Container {container} keeps crashing")),
        _ => None,
    }
}

/// Removes the name of a rejected pod, which changes with each attempt and which lines leave out.
pub(crate) fn without_pod_name(text: &str) -> String {
    let text = text.strip_prefix(COMBINED).unwrap_or(text);
    let name = text.split_once(REFUSED).and_then(|(before, rest)| Some((before, rest.split_once('"')?.1)));
    name.map_or_else(|| text.to_owned(), |(before, after)| format!("{before}{REFUSED}…\"{after}"))
}

/// The count of a line: 9 for `(x9 over 2m)`, 1 without a count.
pub(crate) fn times(line: &str) -> u32 {
    let counted = |rest: &str| rest.split_once(" over ").and_then(|(number, _)| number.parse().ok());
    line.match_indices("(x").filter_map(|(at, mark)| counted(&line[at + mark.len()..])).last().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_pods_name_is_left_out() {
        let expected = "Error creating: pods \"…\" is forbidden: no";
        for name in ["ws-a", "ws-…"] {
            assert_eq!(without_pod_name(&format!("Error creating: pods \"{name}\" is forbidden: no")), expected);
        }
        assert_eq!(without_pod_name("(combined from similar events): Back-off"), "Back-off");
        assert_eq!(without_pod_name("pods \"unclosed"), "pods \"unclosed");
    }

    #[test]
    fn the_count_of_a_line_is_read() {
        assert_eq!(times("Back-off (x9 over 2m) → It (x2) waits"), 9);
        assert_eq!(times("Back-off (x over the moon)"), 1);
        assert_eq!(times("Back-off"), 1);
    }
}
