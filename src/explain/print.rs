//! Lines as text for a terminal, or as JSON.

use std::io::{self, Write};

use jiff::Timestamp;
use logstream_core::line::Level;
use serde::Serialize;

use super::{
    args::Times,
    pipeline::Line,
    selection::{Group, GroupId},
};
use crate::cli::{Output, Style};

/// Width of a relative time, such as `12m ago`.
const TIME: usize = 8;
/// Width of an absolute time.
const DATE: usize = 20;

/// Writes lines.
pub(super) struct Printer<W> {
    out: W,
    output: Output,
    style: Style,
    times: Times,
    /// The group of the last line.
    last: Option<GroupId>,
}

/// A line in JSON. Fields are only added, never renamed or removed.
#[derive(Serialize)]
struct JsonLine<'a> {
    /// RFC 3339, UTC.
    time: String,
    /// `debug`, `warn` or `error`.
    level: &'static str,
    namespace: &'a str,
    kind: &'static str,
    name: &'a str,
    /// The controller that the object belongs to, or itself: `deployment/dev`.
    workload: String,
    /// The Coder user; absent if it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    /// Name of the Coder workspace; absent without an owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<&'a str>,
    /// Description of what happened.
    message: &'a str,
    /// Explanation and remedy; absent if there is nothing to add.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// Number of times it happened.
    times: u32,
    /// Name of the cause in docs/failures.md, `unknown` if it is not listed there; absent if nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    /// Party that can end the cause: `owner`, `template author`, `administrator` or `nobody`.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'static str>,
}

impl<W: Write> Printer<W> {
    pub(super) fn new(out: W, output: Output, style: Style, times: Times) -> Self {
        Self { out, output, style, times, last: None }
    }

    /// Writes a line; in text, below the title of its group.
    pub(super) fn line(&mut self, now: Timestamp, line: &Line, group: &Group) -> io::Result<()> {
        let text = plain(&line.text);
        let (message, hint) = text.split_once(" → ").map_or((text.as_str(), None), |(text, hint)| (text, Some(hint)));
        match self.output {
            Output::Json => self.json(line, group, (message, hint))?,
            Output::Text => self.text(now, line, group, (message, hint))?,
        }
        self.out.flush()
    }

    fn json(&mut self, line: &Line, group: &Group, (message, hint): (&str, Option<&str>)) -> io::Result<()> {
        let line = JsonLine {
            time: date(line.at),
            level: line.level.as_str(),
            namespace: &line.subject.namespace,
            kind: line.subject.kind.as_str(),
            name: &line.subject.name,
            workload: group.title(),
            owner: group.owner.as_ref().map(|owner| owner.user.as_str()),
            workspace: group.owner.as_ref().map(|owner| owner.workspace.as_str()),
            message,
            hint,
            times: line.times,
            cause: line.cause.map(|cause| cause.id),
            actor: line.cause.map(|cause| cause.actor.as_str()),
        };
        serde_json::to_writer(&mut self.out, &line)?;
        writeln!(self.out)
    }

    fn text(
        &mut self,
        now: Timestamp,
        line: &Line,
        group: &Group,
        (message, hint): (&str, Option<&str>),
    ) -> io::Result<()> {
        let style = self.style;
        if self.last != Some(line.group) {
            if self.last.replace(line.group).is_some() {
                writeln!(self.out)?;
            }
            writeln!(self.out, "{}", title(group, style))?;
        }
        let (time, width) = match self.times {
            Times::Relative => (ago(now, line.at), TIME),
            Times::Absolute => (date(line.at), DATE),
        };
        let time = style.dim(&format!("{time:>width$}"));
        let (mark, message) = match line.level {
            Level::Error => (style.red("✗"), style.red(message)),
            Level::Warn => (style.yellow("!"), style.yellow(message)),
            Level::Debug => (" ".to_owned(), message.to_owned()),
        };
        // With several pods in the group, a line must name its pod.
        let name = if group.pods > 1 && !message.contains(&*line.subject.name) {
            style.dim(&format!("{}: ", line.subject.name))
        } else {
            String::new()
        };
        writeln!(self.out, "  {time}  {mark} {name}{message}")?;
        match hint {
            Some(hint) => writeln!(self.out, "  {:width$}    {} {hint}", "", style.bold("→")),
            None => Ok(()),
        }
    }
}

/// `deployment/coder-alice-dev in namespace coder (owner alice, workspace dev)`
fn title(group: &Group, style: Style) -> String {
    let owner = group.owner.as_ref().map(|owner| format!(" (owner {}, workspace {})", owner.user, owner.workspace));
    let deleted = if group.deleted { " (deleted)" } else { "" };
    let rest = format!(" in namespace {}{}{deleted}", group.namespace, owner.unwrap_or_default());
    style.bold(&group.title()) + &rest
}

/// Removes colours, which are for Coder's page.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.split("\u{1b}[");
    plain.extend(parts.next());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, text)| text));
    }
    plain
}

/// `2026-11-27T02:40:11Z`
fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `12s ago`, `3m ago`, `2h ago`, `5d ago`; `now` also for a clock that is a little behind.
fn ago(now: Timestamp, at: Timestamp) -> String {
    // In whole seconds: with fractions, which only some Events have, the order within a second would seem reversed.
    let seconds = now.as_second().saturating_sub(at.as_second());
    match seconds {
        ..=0 => "now".to_owned(),
        1..120 => format!("{seconds}s ago"),
        120..7_200 => format!("{}m ago", seconds / 60),
        7_200..172_800 => format!("{}h ago", seconds / 3_600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use logstream_core::{
        causes::UNKNOWN,
        identity::{Subject, Uid},
        resource::Kind,
        workspace::Owner,
    };
    use serde_json::Value;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-27T02:40:11Z".parse().unwrap()
    }

    fn group() -> Group {
        let owner = Some(Owner { user: "alice".to_owned(), workspace: "dev".to_owned() });
        let (kind, namespace, name) = ("Deployment".to_owned(), "coder".to_owned(), "coder-alice-dev".to_owned());
        Group { kind, namespace, name, owner, pods: 1, deleted: false }
    }

    fn line(level: Level, text: &str) -> Line {
        Line {
            at: now() - SignedDuration::from_secs(150),
            level,
            group: GroupId(0),
            subject: Subject {
                kind: Kind::Pod,
                namespace: "coder".into(),
                name: "pod-1".into(),
                uid: Uid::parse("1").unwrap(),
            },
            text: text.to_owned(),
            times: 2,
            cause: (level >= Level::Warn).then_some(&UNKNOWN),
        }
    }

    fn printed(output: Output, style: Style, times: Times, lines: &[Line], group: &Group) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, output, style, times);
        for line in lines {
            printer.line(now(), line, group).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_has_a_title_and_hints_on_lines_of_their_own() {
        let lines = [
            line(Level::Debug, "🐳 \u{1b}[1mCreated pod\u{1b}[0m: pod-1"),
            line(Level::Error, "Container dev was killed → It used more memory."),
        ];
        let text = printed(Output::Text, Style::Plain, Times::Relative, &lines, &group());
        let expected = "\
deployment/coder-alice-dev in namespace coder (owner alice, workspace dev)
    2m ago    🐳 Created pod: pod-1
    2m ago  ✗ Container dev was killed
              → It used more memory.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_line_of_one_pod_among_several_names_it() {
        let group = Group { pods: 2, ..group() };
        let lines = [line(Level::Debug, "🐳 Created pod: pod-1"), line(Level::Warn, "Back-off")];
        let text = printed(Output::Text, Style::Plain, Times::Absolute, &lines, &group);
        assert!(text.contains("  2026-11-27T02:37:41Z    🐳 Created pod: pod-1\n"), "{text}");
        assert!(text.contains("  2026-11-27T02:37:41Z  ! pod-1: Back-off\n"), "{text}");
    }

    #[test]
    fn only_the_coloured_style_has_escape_sequences() {
        let lines = [line(Level::Error, "\u{1b}[37mgone\u{1b}[0m")];
        let text = |style| printed(Output::Text, style, Times::Relative, &lines, &group());
        assert!(!text(Style::Plain).contains('\u{1b}'));
        assert!(text(Style::Coloured).contains("\u{1b}[31mgone\u{1b}[0m"), "{:?}", text(Style::Coloured));
    }

    #[test]
    fn json_is_one_object_a_line() {
        let lines = [line(Level::Error, "\u{1b}[37mquota\u{1b}[0m (x2 over 5s) → Ask."), line(Level::Debug, "Started")];
        let text = printed(Output::Json, Style::Coloured, Times::Relative, &lines, &group());
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected = serde_json::json!({
            "time": "2026-11-27T02:37:41Z", "level": "error", "namespace": "coder", "kind": "Pod", "name": "pod-1",
            "workload": "deployment/coder-alice-dev", "owner": "alice", "workspace": "dev",
            "message": "quota (x2 over 5s)", "hint": "Ask.", "times": 2, "cause": "unknown", "actor": UNKNOWN.actor.as_str(),
        });
        assert_eq!(lines[0], expected);
        assert_eq!((&lines[1]["hint"], &lines[1]["cause"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn relative_times_are_short() {
        let ago = |seconds| ago(now(), now() - SignedDuration::from_secs(seconds));
        let times = [-5, 0, 1, 119, 120, 7_199, 7_200, 200_000].map(ago);
        assert_eq!(times, ["now", "now", "1s ago", "119s ago", "2m ago", "119m ago", "2h ago", "2d ago"]);
        // Two lines of one second in their order: the first has a fraction, the second has none.
        let times = ["02:40:01.9Z", "02:40:01Z"].map(|time| format!("2026-11-27T{time}").parse().unwrap());
        assert_eq!(times.map(|at| super::ago(now(), at)), ["10s ago", "10s ago"]);
    }
}
