//! Text for a terminal or a log.

use std::fmt::Write as _;

use crate::{
    cli::Style,
    doctor::{Outcome, Report, Status, check::Group},
};

/// Width in columns at which details wrap: they are read in logs too, where the width is unknown.
const WIDTH: usize = 110;

/// Width of the labels before details, with their indentation.
const INDENT: usize = 14;

/// Renders outcomes one by one, so that they can be shown while later checks run.
#[derive(Debug)]
pub(crate) struct Text {
    style: Style,
    group: Option<Group>,
}

impl Text {
    /// A renderer at the beginning of a report.
    pub(crate) fn new(style: Style) -> Self {
        Self { style, group: None }
    }

    /// The lines of an outcome, with the heading of its group if it is the first of it.
    pub(crate) fn outcome(&mut self, outcome: &Outcome) -> String {
        let mut text = String::new();
        let check = outcome.check;
        if self.group.replace(check.group) != Some(check.group) {
            let _ = writeln!(text, "\n{}", self.style.bold(check.group.title()));
        }
        let mark = match outcome.status {
            Status::Passed => self.style.green("✓"),
            Status::Warning => self.style.yellow("‼"),
            Status::Failed => self.style.red("✗"),
            Status::Skipped => self.style.dim("–"),
        };
        let _ = writeln!(text, "  {mark} {} {}", check.description, self.style.dim(&format!("({})", check.id)));
        match outcome.status {
            Status::Passed => detail(&mut text, "", &outcome.found),
            Status::Skipped => detail(&mut text, "skipped", &outcome.found),
            Status::Warning | Status::Failed => {
                detail(&mut text, "expected", check.expected);
                detail(&mut text, "found", &outcome.found);
                detail(&mut text, "do", outcome.action.as_deref().unwrap_or_default());
                detail(&mut text, "docs", &check.group.docs());
            }
        }
        text
    }

    /// The last line.
    pub(crate) fn summary(&self, report: &Report) -> String {
        let count = |status, word: &str| match report.count(status) {
            0 => None,
            count => Some(format!("{count} {word}")),
        };
        let counts = [
            count(Status::Passed, "passed"),
            count(Status::Warning, "with a warning"),
            count(Status::Failed, "failed"),
            count(Status::Skipped, "skipped"),
        ];
        let counts: Vec<_> = counts.into_iter().flatten().collect();
        let line = format!("{} checks: {}", report.outcomes.len(), counts.join(", "));
        let line = if report.exit_code() == 0 { self.style.green(&line) } else { self.style.red(&line) };
        format!("\n{line}\n")
    }
}

/// A paragraph after its label.
fn detail(text: &mut String, label: &str, detail: &str) {
    let mut label = if label.is_empty() { String::new() } else { format!("    {label}") };
    for paragraph in detail.lines() {
        for line in wrapped(paragraph, WIDTH - INDENT) {
            let _ = writeln!(text, "{label:INDENT$}{line}");
            label.clear();
        }
    }
}

/// Breaks a line at spaces. Words that are too long stay whole: they are commands and URLs to be copied.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split_whitespace() {
        let Some(last) = lines.last_mut() else { continue };
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;
    use crate::doctor::{
        check::{Check, Problem, Severity},
        render::json,
    };

    static CHECK: Check = Check {
        id: "coder-clock",
        group: Group::Coder,
        description: "Coder's clock agrees with this machine's",
        expected: "a difference of less than 30 s",
        severity: Severity::Warning,
        fatal: false,
        retry: false,
        run: |_| async { Ok(String::new()) }.boxed(),
    };

    fn report() -> Report {
        let problem = Problem::unmet("Coder's clock is 93 s ahead", "synchronize the clocks by NTP");
        let outcomes = vec![
            Outcome::new(&CHECK, Ok("less than 1 s".to_owned()), Duration::ZERO),
            Outcome::new(&CHECK, Err(problem), Duration::from_millis(7)),
            Outcome::new(&CHECK, Err(Problem::skipped("Coder does not answer")), Duration::ZERO),
        ];
        Report { outcomes }
    }

    #[test]
    fn a_problem_has_expectation_finding_action_and_link() {
        let report = report();
        let mut text = Text::new(Style::Plain);
        let shown: String = report.outcomes.iter().map(|outcome| text.outcome(outcome)).collect();
        let expected = "
Coder
  ✓ Coder's clock agrees with this machine's (coder-clock)
              less than 1 s
  ‼ Coder's clock agrees with this machine's (coder-clock)
    expected  a difference of less than 30 s
    found     Coder's clock is 93 s ahead
    do        synchronize the clocks by NTP
    docs      docs/doctor.md#coder
  – Coder's clock agrees with this machine's (coder-clock)
    skipped   Coder does not answer
";
        assert_eq!(shown, expected);
        assert_eq!(text.summary(&report), "\n3 checks: 1 passed, 1 with a warning, 1 skipped\n");
    }

    #[test]
    fn colours_are_used_only_where_asked_for() {
        let outcome = &report().outcomes[0];
        let coloured = Text::new(Style::Coloured).outcome(outcome);
        assert!(coloured.contains("\u{1b}[32m✓\u{1b}[0m"), "{coloured}");
    }

    #[test]
    fn details_wrap_under_their_label() {
        let lines = wrapped("one two three https://a-long-word.example.com/x", 9);
        assert_eq!(lines, ["one two", "three", "https://a-long-word.example.com/x"]);
    }

    #[tokio::test]
    async fn json_has_all_fields_of_a_check() {
        let value = json(&crate::doctor::testing::context(), &report());
        assert!(value["server"].is_string() && value["deployment"].is_null(), "{value}");
        assert_eq!((value["result"].as_str(), value["warnings"].as_u64()), (Some("warning"), Some(1)));
        let check = &value["checks"][1];
        assert_eq!(check["status"], "warning");
        assert_eq!(check["milliseconds"], 7);
        for field in ["id", "group", "description", "expected", "found", "action", "docs"] {
            assert!(check[field].is_string(), "{field}: {check}");
        }
    }
}
