//! The catalogue as a whole.

mod corpus;

use std::collections::BTreeSet;

use super::{pattern::Pattern, symptom::Topic, *};
use crate::finding::{ContainerKind, FindingKind};

/// Creates a symptom like the one that an entry was taken from.
fn sample(cause: &'static Cause) -> Symptom<'static> {
    let pattern: &Pattern = &cause.patterns[0];
    let (reason, message) = cause.sample;
    let message = match pattern.topic {
        Topic::Scheduling if message.starts_with(|c: char| c.is_ascii_digit()) => {
            scheduling::reasons(&format!("nodes are available: {message}")).remove(0).1
        }
        _ => message.to_owned(),
    };
    let mut symptom = match pattern.topic {
        Topic::Image => Symptom::image(reason, &message, ""),
        topic => Symptom::new(topic, reason, &message),
    };
    symptom.code = pattern.codes.map(|(from, _)| from).or((pattern.topic == Topic::Exit).then_some(2));
    symptom.which = if pattern.init == Some(true) { ContainerKind::Init } else { ContainerKind::App };
    symptom
}

#[test]
fn each_entry_recognizes_the_message_it_was_taken_from() {
    let found = |cause| Cause::find(&sample(cause)).map(|(found, _)| found.id);
    let wrong = ALL.into_iter().flatten().filter(|cause| found(cause) != Some(cause.id));
    let wrong: Vec<_> = wrong.map(|cause| (cause.id, found(cause), cause.sample.1)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn labels_are_unique_and_short() {
    let labels: BTreeSet<_> = Cause::all().map(|cause| cause.id).collect();
    assert_eq!(labels.len(), Cause::all().count());
    for label in labels {
        let plain = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        assert!(plain && label.len() <= 32, "{label}");
    }
}

#[test]
fn patterns_are_in_lower_case_and_placeholders_known() {
    for cause in ALL.into_iter().flatten() {
        for text in cause
            .patterns
            .iter()
            .flat_map(|pattern| pattern.texts.iter().chain(pattern.raw).chain(pattern.with).chain(pattern.without))
        {
            assert_eq!(*text, text.to_ascii_lowercase(), "{}", cause.id);
        }
        let symptom = sample(cause);
        let (_, words) = Cause::find(&symptom).unwrap();
        for sentence in [cause.why, cause.act] {
            let said = symptom.fill(&scheduling::phrase(sentence, Some(1), &symptom.text), &words);
            assert!(!said.contains(['{', '}']) && !said.contains("  "), "{}: {said}", cause.id);
        }
    }
}

fn sentence(kind: &FindingKind) -> String {
    explain(kind).sentence.unwrap_or_default()
}

fn unschedulable(message: &str) -> (Vec<&'static str>, String) {
    let explanation = explain(&FindingKind::Unschedulable { message: message.to_owned() });
    (explanation.causes.iter().map(|cause| cause.id).collect(), explanation.sentence.unwrap_or_default())
}

#[test]
fn each_reason_of_the_scheduler_is_named_briefly() {
    let (causes, said) = unschedulable(
        "0/6 nodes are available: 1 Insufficient cpu, 2 Insufficient memory, 3 node(s) had untolerated taint {gpu: yes, \
         more}. preemption: 0/6 nodes are available: 6 Preemption is not helpful for scheduling.",
    );
    assert_eq!(causes, ["cpu", "memory", "taint"]);
    for part in [
        "1 node has too little free CPU",
        "2 nodes have too little free memory",
        "3 nodes are reserved for other work (taint gpu: yes, more)",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("starts as soon"), "{said}");
}

#[test]
fn a_node_in_trouble_is_not_the_templates_fault() {
    for (taint, id, words) in [
        ("node.kubernetes.io/not-ready: ", "node_not_ready", "1 node is not ready or does not answer"),
        ("node.kubernetes.io/disk-pressure: ", "node_disk_pressure", "1 node is low on disk space"),
        ("node.kubernetes.io/unreachable: ", "node_not_ready", "1 node is not ready or does not answer"),
        ("gpu: yes", "taint", "1 node is reserved for other work (taint gpu: yes)"),
    ] {
        let (causes, said) = unschedulable(&format!(
            "0/1 nodes are available: 1 node(s) had untolerated taint {{{taint}}}. preemption: x"
        ));
        assert_eq!(causes, [id]);
        assert!(said.contains(words) && (id == "taint" || !said.contains("template's author")), "{said}");
    }
}

#[test]
fn an_unavailable_device_is_named_whole() {
    let message = "Allocate failed due to requested number of devices unavailable for nvidia.com/gpu. Requested: 1, \
                   Available: 0, which is unexpected";
    let said = sentence(&FindingKind::Failed { reason: "UnexpectedAdmissionError".into(), message: message.into() });
    assert!(said.contains("\"nvidia.com/gpu\""), "{said}");
}

#[test]
fn a_full_disk_at_a_pull_is_not_a_missing_image() {
    let pull = |message: &str| FindingKind::ImagePull {
        container: "dev".into(),
        which: ContainerKind::App,
        image: "x:1".into(),
        message: message.into(),
    };
    let said = sentence(&pull("failed to extract layer sha256:ba: write /var/lib/x: no space left on device: unknown"));
    assert!(said.contains("disk space") && !said.contains("name and tag"), "{said}");
    // Words in the image's own name or in a URL are not the cause.
    let named = FindingKind::ImagePull {
        container: "dev".into(),
        which: ContainerKind::App,
        image: "r/unauthorized:429".into(),
        message: "failed to resolve image: r/unauthorized:429: not found".into(),
    };
    assert_eq!(explain(&named).causes[0].id, "image_not_found");
}

#[test]
fn unknown_trouble_keeps_its_text_and_progress_is_no_trouble() {
    let event = |warning| FindingKind::Event { reason: "Odd".into(), message: "something new".into(), warning };
    let unknown = explain(&event(true));
    assert_eq!((unknown.causes[0].id, unknown.level, unknown.sentence), ("unknown", None, None));
    assert_eq!(explain(&event(false)).causes, [] as [&Cause; 0]);
}

#[test]
fn openshifts_refusal_is_not_a_missing_service_account() {
    let scc = "Error creating: pods \"ws-\" is forbidden: unable to validate against any security context constraint: [provider \
               \"anyuid\": Forbidden: not usable by user or serviceaccount]";
    assert_eq!(explain(&FindingKind::Refused { message: scc.into() }).causes[0].id, "openshift_scc");
}
