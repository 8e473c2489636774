//! Normalization of messages, so that two messages with the same cause compare equal. Random names, addresses and list
//! order are removed.

use std::net::Ipv4Addr;

use crate::causes::{is_preemption, scheduling_reasons};

/// Characters of the names that Kubernetes generates (`k8s.io/apimachinery/pkg/util/rand`). There are no vowels, so
/// they form no word.
const RANDOM: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Minimum length of a hexadecimal id. A shorter run of digits may be a word or a number that matters.
const SHORTEST_ID: usize = 12;

/// Returns the message without the parts that differ between retries: UUIDs and other ids, random suffixes of names,
/// addresses and ports, times and durations, the order of lists in brackets.
pub(super) fn normalized(message: &str) -> String {
    let masked = masked(message, false);
    let mut sorted = String::with_capacity(masked.len());
    let mut rest = masked.as_str();
    while let Some((before, list)) = rest.split_once('[')
        && let Some((list, after)) = list.split_once(']')
    {
        let mut items: Vec<&str> = list.split([' ', ',']).filter(|item| !item.is_empty()).collect();
        items.sort_unstable();
        sorted.push_str(before);
        sorted.push('[');
        sorted.push_str(&items.join(" "));
        sorted.push(']');
        rest = after;
    }
    sorted + rest
}

/// Like [`normalized`], but removes all numbers and keeps the order of lists. For messages that state how much is used
/// or left.
pub(super) fn without_numbers(message: &str) -> String {
    masked(message, true)
}

/// Returns each reason in a scheduler's message, without its number of nodes. Pods that are ended to make room are one
/// reason, whatever the wording.
pub(super) fn reasons(message: &str) -> Vec<String> {
    let reasons = scheduling_reasons(message).into_iter().map(|(nodes, reason)| match nodes {
        None if is_preemption(&reason) => "preempting".to_owned(),
        Some(_) => masked(&reason, false),
        None => without_numbers(&reason),
    });
    reasons.collect()
}

fn masked(message: &str, numbers: bool) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    let (mut before, mut words) = (' ', [String::new(), String::new()]);
    while let Some(c) = rest.chars().next() {
        if !c.is_alphanumeric() {
            out.push(c);
            before = c;
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let number = address(rest).or_else(|| duration(rest));
        let end = number.unwrap_or_else(|| rest.find(|c: char| !c.is_alphanumeric() && c != '-').unwrap_or(rest.len()));
        let (word, after) = rest.split_at(end);
        let mask = number.is_some()
            || is_id(word)
            || (before == ':' && word.starts_with(|c: char| c.is_ascii_digit()))
            || (numbers && word.starts_with(|c: char| c.is_ascii_digit()))
            || is_time(word)
            || follows_id(&words);
        if mask {
            out.push('#');
        } else {
            out.push_str(without_suffix(word));
        }
        words = [std::mem::take(&mut words[1]), word.to_ascii_lowercase()];
        before = word.chars().next_back().unwrap_or(' ');
        rest = after;
    }
    out
}

/// Maximum length of a number, in bytes: an IPv4 address, or the digits of a duration.
const NUMBER: usize = 16;

/// Returns the length of the digits and dots at the start of the text.
fn digits(text: &str) -> usize {
    text.bytes().take(NUMBER).take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count()
}

/// Returns the length of the IPv4 address at the start of the text.
fn address(text: &str) -> Option<usize> {
    let candidate = text[..digits(text)].trim_end_matches('.');
    candidate.parse::<Ipv4Addr>().ok().map(|_| candidate.len())
}

/// Returns the length of the duration at the start of the text: `40s`, `1m20s`, `8.478s`.
fn duration(text: &str) -> Option<usize> {
    let mut rest = text;
    while rest.starts_with(|c: char| c.is_ascii_digit()) {
        let after = &rest[digits(rest)..];
        let unit = ["ms", "us", "ns", "h", "m", "s"].into_iter().find(|unit| after.starts_with(unit))?;
        rest = &after[unit.len()..];
    }
    let whole = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
    (whole && rest.len() < text.len()).then(|| text.len() - rest.len())
}

/// True for a UUID, or a long hexadecimal number such as a container's id or a digest.
fn is_id(word: &str) -> bool {
    let uuid = word.len() == 36 && uuid::Uuid::try_parse(word).is_ok();
    let hex = word.len() >= SHORTEST_ID
        && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        && word.bytes().any(|byte| byte.is_ascii_digit());
    uuid || hex
}

/// True for the date and hour of a time such as `2026-11-26T18:00:00Z`; the rest begins with a colon.
fn is_time(word: &str) -> bool {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    matches!(shape.as_str(), "0000-00-00T00" | "0000-00-00")
}

/// True if an id follows these words: `request id: X`, `RequestID: X`, `trace id X`
fn follows_id(words: &[String; 2]) -> bool {
    let [first, second] = words;
    let ids = ["request", "requestid", "request-id", "x-request-id", "trace", "traceid", "trace-id", "correlation"];
    (second == "id" && ids.contains(&first.as_str()))
        || (second.ends_with("id") && second.len() > 2 && ids.contains(&second.as_str()))
}

/// Removes the suffixes that Kubernetes generated: `-vgfrf` of a pod, `-74fc974fd4` of a ReplicaSet, or both.
fn without_suffix(word: &str) -> &str {
    let mut name = word;
    for lengths in [5..=5, 8..=10] {
        if let Some((kept, suffix)) = name.rsplit_once('-')
            && lengths.contains(&suffix.len())
            && suffix.bytes().all(|byte| RANDOM.contains(&byte))
        {
            name = kept;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_parts_do_not_make_another_cause() {
        for (one, other) in [
            (
                "failed to setup network for sandbox \"a4c123b1612dd272d1371c17149d439536b3216f\": plugin failed",
                "failed to setup network for sandbox \"b0eb53f16947ccf25ec84d8dbc74254770f58904\": plugin failed",
            ),
            ("dial tcp 10.88.0.84:13337: connection refused", "dial tcp 10.88.0.9:42001: connection refused"),
            (
                "unattached volumes=[logs home kube-api-access-t8b2v]",
                "unattached volumes=[kube-api-access-xk5zd home logs]",
            ),
            (
                "Preempted by pod 6389a871-a85e-4c78-8285-a7a0e6dd985b",
                "Preempted by pod 0389a871-a85e-4c78-8285-a7a0e6dd985b",
            ),
            ("Pod \"ws-5c5df6c99b-ngq2c\" is invalid", "Pod \"ws-5c5df6c99b-22xcx\" is invalid"),
            ("back-off 1m20s restarting", "back-off 40s restarting"),
            ("pulled in 739ms (8.478s including waiting)", "pulled in 1.2s (12.1s including waiting)"),
            ("denied, request id: AbCd", "denied, request id: EfGh"),
            ("RequestID: x1 throttled", "RequestID: y2 throttled"),
            ("failed at 2026-11-26T18:00:00Z", "failed at 2026-11-26T18:01:12Z"),
            (
                "lookup registry on 10.0.0.10:53: read udp 10.1.2.3:40001->10.0.0.10:53",
                "lookup registry on 10.0.0.10:53: read udp 10.1.2.3:40002->10.0.0.10:53",
            ),
        ] {
            assert_eq!(normalized(one), normalized(other));
        }
    }

    #[test]
    fn another_cause_stays_another() {
        for (one, other) in [
            ("fact 00001.", "fact 00002."),
            ("secret \"a\" not found", "secret \"b\" not found"),
            ("statuscode: 500", "statuscode 503"),
            ("image:1.2 not found", "image:latest not found"),
            ("volumes=[home]", "volumes=[home data]"),
            ("pull QPS exceeded", "401 Unauthorized"),
            ("deadbeef", "beefdead"),
        ] {
            assert_ne!(normalized(one), normalized(other));
        }
    }

    #[test]
    fn a_schedulers_reasons_do_not_depend_on_numbers_or_order() {
        let one = reasons(
            "0/401 nodes are available: 5 Insufficient cpu, 9 node(s) had untolerated taint {a: b, c}, 0 Too many pods. preemption: x",
        );
        assert_eq!(one, ["Insufficient cpu", "node(s) had untolerated taint {a: b, c}"]);
        assert_eq!(reasons("0/1 nodes are available: 1 Insufficient cpu."), ["Insufficient cpu"]);
        assert_eq!(reasons("persistentvolumeclaim \"home\" not found"), ["persistentvolumeclaim \"home\" not found"]);
    }

    #[test]
    fn a_long_message_takes_no_longer_than_its_length() {
        for text in ["1.", "1m", "a-", "[", "[a]", "bcdfg-"] {
            let long = text.repeat(500_000);
            assert!(normalized(&long).len() <= long.len());
        }
    }

    #[test]
    fn usage_is_no_cause() {
        let quota = |used| format!("exceeded quota: q, requested: pods=1, used: pods={used}, limited: pods=3");
        assert_eq!(without_numbers(&quota(3)), without_numbers(&quota(17)));
    }
}
