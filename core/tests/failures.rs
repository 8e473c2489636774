//! `docs/failures.md`, generated from the catalogue and its scenarios.

use std::{fmt::Write, fs, path::Path};

use logstream_core::causes::{ALL, Cause};
use logstream_scenarios::{Scenario, replay};

const HEAD: &str = "# Failures\n\nWhy a workspace does not start, or does not stay, as the program explains it. This page is made from the \
catalogue in `core/src/causes` and its scenarios (`UPDATE_DOCS=1 cargo test -p logstream-core failures_reference`).\n\nEach line of a log \
holds what Kubernetes says and its reason, then `→` and the explanation. A cause is the label of \
`coder_logstream_failures_total{cause}`. *Who acts* is who can end it: the owner of the workspace, the author of its template, an \
administrator of the cluster, or nobody, as Kubernetes tries again or it is progress. What no entry recognizes is shown as it \
is, and counted as `unknown`: please report such messages.\n\nBelow each table are the logs of its causes. *Captured* ones are from a \
real kubelet; the others are made from one message. `cargo demo --scenario NAME` plays each on a real API server. A log ends here \
where its cause is repeated.\n";

/// Returns the page.
fn page() -> String {
    let mut page = HEAD.to_owned();
    for group in ALL {
        let Some(first) = group.first() else { continue };
        let _ = write!(
            page,
            "\n## {}\n\n| cause | level | who acts | explanation |\n|---|---|---|---|\n",
            first.area.as_str()
        );
        for cause in group {
            let _ = writeln!(page, "{}", row(cause));
        }
        page.push('\n');
        for cause in group {
            page += &log(Scenario::of(cause));
        }
    }
    page
}

fn row(cause: &Cause) -> String {
    let mut explanation = words(cause.why.trim());
    // A reason of the scheduler is only part of a sentence.
    if !cause.why.is_empty() && !cause.why.ends_with('.') {
        explanation.push('.');
    }
    let explanation = format!("{explanation} {}", words(cause.act.trim()));
    format!(
        "| `{}`<br>{} | {} | {} | {} |",
        cause.id,
        cause.title,
        cause.level.as_str(),
        cause.actor.as_str(),
        cell(explanation.trim()),
    )
}

/// Returns the log of a cause, folded.
fn log(scenario: Scenario) -> String {
    let captured = if scenario.captured().is_some() { ", captured" } else { "" };
    let mut text = format!("<details><summary><code>{}</code>{captured}</summary>\n\n```text\n", scenario.name());
    let lines = replay(&scenario.recording(), 600);
    let shown = lines.iter().position(|line| line.causes.contains(&scenario.cause) && line.text.contains(" over "));
    for line in &lines[..shown.unwrap_or(lines.len())] {
        let _ = writeln!(text, "{:>4}s {:<5} {}", line.after, line.level.as_str(), line.text.replace("```", "'''"));
    }
    text + "```\n\n</details>\n"
}

/// Replaces placeholders with the text that a reader sees.
fn words(sentence: &str) -> String {
    let mut text = sentence.to_owned();
    for (placeholder, shown) in [
        ("{n}", "N nodes"),
        ("{is|are}", "are"),
        ("{has|have}", "have"),
        ("{does|do}", "do"),
        ("{runs|run}", "run"),
        ("{its|their}", "their"),
        ("{it|they}", "they"),
        ("{it|them}", "them"),
        ("{taint}", ""),
        ("{quota}", " (what is used, and what more is needed)"),
        ("{limit}", "its limit"),
        ("{signal}", "the signal's name"),
        ("{q1}", " …"),
        ("{ 1}", " …"),
        ("{ 2}", " …"),
        ("{ 3}", " …"),
        ("{1}", "…"),
        ("{2}", "…"),
        ("{3}", "…"),
    ] {
        text = text.replace(placeholder, shown);
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "chooses between writing and comparing")]
fn failures_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/failures.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), page, "run it with UPDATE_DOCS=1");
}
