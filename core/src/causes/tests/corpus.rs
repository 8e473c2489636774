//! Real messages and their causes.

use std::collections::BTreeSet;

use super::explain;
use crate::finding::{ContainerKind, FindingKind, WaitingFor};

/// Messages that the entries were written for: `kind`, `reason`, `cause[,cause]`, `message`, separated by tabs. For an
/// image the second column is its name.
const FIELD: &str = include_str!("../../../tests/fixtures/messages.tsv");

/// Messages of the same form that were collected afterwards. Their causes were written down before the entries were
/// tried on them.
const HELD_OUT: &str = include_str!("../../../tests/fixtures/held_out.tsv");

/// Messages that were collected last; the entries were right about 96 of 98 of them.
const FRESH: &str = include_str!("../../../tests/fixtures/fresh.tsv");

/// Messages of areas that are rare in the other files. The head of the file says how many were right at first.
const UNSEEN: &str = include_str!("../../../tests/fixtures/unseen.tsv");

fn finding(kind: &str, reason: &str, message: &str) -> FindingKind {
    let container = || "dev".to_owned();
    let image = if kind == "image" && !reason.is_empty() { reason } else { "registry.example.com/team/workspace:1" };
    let (reason, message, image) = (reason.to_owned(), message.to_owned(), image.to_owned());
    let end = |which, exit_code: Option<i32>| {
        let own = message.parse::<i32>().ok();
        FindingKind::Terminated {
            container: container(),
            which,
            exit_code: exit_code.or(own).unwrap_or(1),
            message: if own.is_some() { String::new() } else { message.clone() },
            reason: reason.clone(),
            memory_limit: Some("1Gi".to_owned()),
        }
    };
    match kind {
        "refused" => FindingKind::Refused { message },
        "unschedulable" => FindingKind::Unschedulable { message },
        "evicted" => FindingKind::Evicted { message },
        "disrupted" => FindingKind::Disrupted { reason, message },
        "failed" => FindingKind::Failed { reason, message },
        "image" => FindingKind::ImagePull { container: container(), which: ContainerKind::App, image, message },
        "waiting" => {
            let why = WaitingFor::parse(&reason).unwrap();
            FindingKind::Waiting { container: container(), which: ContainerKind::App, why, reason, image, message }
        }
        "init" => end(ContainerKind::Init, None),
        "probe" => FindingKind::Unhealthy { container: container(), which: ContainerKind::App, message },
        "event" => FindingKind::Event { reason, message, warning: true },
        "progress" => FindingKind::Event { reason, message, warning: false },
        kind => end(ContainerKind::App, kind.strip_prefix("exit").unwrap().parse().ok()),
    }
}

/// Returns the number of messages, and those with other causes than expected.
fn wrong(corpus: &str) -> (usize, Vec<String>) {
    let set = |causes: &str| causes.split(',').filter(|cause| !cause.is_empty()).map(str::to_owned).collect();
    let lines = corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut wrong = Vec::new();
    let mut number = 0;
    for line in lines {
        let [kind, reason, causes, message] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        number += 1;
        let explanation = explain(&finding(kind, reason, message));
        let found: BTreeSet<String> = explanation.causes.iter().map(|cause| cause.id.to_owned()).collect();
        let expected: BTreeSet<String> = set(causes);
        if found != expected {
            let found = found.into_iter().collect::<Vec<_>>().join(",");
            wrong.push(format!("{found} instead of {causes}: {kind} {reason}: {message}"));
        }
    }
    (number, wrong)
}

#[test]
fn messages_from_the_field_are_recognized() {
    for corpus in [FIELD, HELD_OUT, FRESH, UNSEEN] {
        let (number, wrong) = wrong(corpus);
        let unknown = wrong.iter().filter(|line| line.starts_with("unknown instead")).count();
        assert!(wrong.is_empty(), "{} of {number} are wrong, {unknown} unknown: {wrong:#?}", wrong.len());
    }
}
