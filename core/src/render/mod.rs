//! Rendering of findings as log lines.
//!
//! Lines that the replaced program also writes keep its words: the marks 🐳 and 🗑️, the bold verb, an Event's message in
//! white. The sentences of the catalogue ([`causes`]), which that program does not have, follow an arrow: what the line
//! means, and who can act.

mod cause;
mod mask;
mod quantity;

use jiff::SignedDuration;

pub(crate) use self::quantity::requested;
use crate::{
    causes::{self, Explanation},
    finding::{Finding, FindingKind, Repeat},
    line::{Level, LogLine, MAX_CHARS},
    resource::Kind,
    text,
    token::AgentToken,
};

/// Maximum length of a hint in a line, in characters. The rest is for what happened.
const MAX_HINT: usize = 480;

/// Maximum length of a reason in a line, in characters.
const MAX_REASON: usize = 128;

/// Maximum length of a text before masking, in bytes. No line has room for more.
const MAX_MASKED: usize = 16 * 1024;

const BOLD: &str = "\u{1b}[1m";
const WHITE: &str = "\u{1b}[37m";
const RESET: &str = "\u{1b}[0m";

/// Style of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogStyle {
    /// With emoji and ANSI colours.
    #[default]
    Fancy,
    /// Text only.
    Plain,
}

impl LogStyle {
    /// Returns the name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fancy => "fancy",
            Self::Plain => "plain",
        }
    }
}

/// Renders a finding as a line, which is the same for each of the finding's agents.
///
/// `is_agent` returns true for the tokens of all known agents, of any workspace. None of them appears in the line.
pub fn render(finding: &Finding, style: LogStyle, is_agent: impl Fn(AgentToken) -> bool) -> LogLine {
    let Words { level, reason, label, colour, text, hint } = words(finding, style);
    let is_agent = |token| finding.agents.contains(&token) || is_agent(token);
    let mask = |text: &str| mask::mask(&text::excerpt(text.trim(), MAX_MASKED), &is_agent);
    let text = mask(&text);
    let hint = hint.map(|hint| format!(" → {}", cut(&mask(&hint), MAX_HINT))).unwrap_or_default();
    let reason = reason.map(|reason| format!(" ({})", cut(&mask(&reason), MAX_REASON))).unwrap_or_default();
    let count = finding.repeat.map(|repeat| format!(" {}", times(repeat))).unwrap_or_default();
    let (open, close) = if colour && style == LogStyle::Fancy { (WHITE, RESET) } else { ("", "") };
    let room = MAX_CHARS
        .saturating_sub([&label, open, close, &reason, &count, &hint].iter().map(|part| part.chars().count()).sum());
    let text = cut(&text, room);
    LogLine {
        at: finding.at,
        level,
        text: format!("{label}{open}{text}{close}{reason}{count}{hint}"),
        repeat: finding.repeat.is_some(),
        fact_id: finding.fact_id,
    }
}

/// Returns the level of a finding's line.
pub(crate) fn level_of(kind: &FindingKind, explanation: &Explanation) -> Level {
    explanation.level.unwrap_or(match kind {
        FindingKind::Created | FindingKind::Recovered { .. } | FindingKind::Event { warning: false, .. } => {
            Level::Debug
        }
        FindingKind::Event { .. }
        | FindingKind::Unschedulable { .. }
        | FindingKind::Unhealthy { .. }
        | FindingKind::SlowPull { .. } => Level::Warn,
        _ => Level::Error,
    })
}

struct Words {
    level: Level,
    /// Kubernetes reason, if the text does not contain it. Users search for it.
    reason: Option<String>,
    /// Label in this program's words, with its colours.
    label: String,
    colour: bool,
    text: String,
    hint: Option<String>,
}

impl Words {
    /// Creates [`Words`] in this program's own wording.
    fn plain(level: Level, text: String) -> Self {
        Self { level, reason: None, label: String::new(), colour: false, text, hint: None }
    }

    /// Creates [`Words`] in this program's own wording, with the Kubernetes reason.
    fn with_reason(level: Level, reason: &str, text: String) -> Self {
        let reason = (!reason.is_empty() && !text.contains(reason)).then(|| reason.to_owned());
        Self { reason, ..Self::plain(level, text) }
    }

    /// Creates [`Words`] in the wording of Kubernetes.
    fn verbatim(level: Level, reason: &str, text: &str) -> Self {
        let is_there = match level {
            Level::Debug => text.to_ascii_lowercase().contains(&reason.to_ascii_lowercase()),
            _ => text.contains(reason),
        };
        let reason = (!is_there).then(|| reason.to_owned());
        Self { reason, colour: true, ..Self::plain(level, text.to_owned()) }
    }

    /// Creates [`Words`] for the creation or deletion of an object.
    fn object(finding: &Finding, style: LogStyle, level: Level, mark: &str, what: &str) -> Self {
        let label = match style {
            LogStyle::Fancy => format!("{mark} {BOLD}{what}{RESET}: "),
            LogStyle::Plain => format!("{what}: "),
        };
        Self { label, ..Self::plain(level, finding.subject.name.to_string()) }
    }
}

fn words(finding: &Finding, style: LogStyle) -> Words {
    let explanation = causes::explain(&finding.kind);
    let level = level_of(&finding.kind, &explanation);
    let kind = finding.subject.kind;
    let words = match &finding.kind {
        FindingKind::Created => Words::object(finding, style, level, "🐳", &created(kind)),
        FindingKind::Deleted => Words::object(finding, style, level, "🗑️", &format!("Deleted {}", noun(kind))),
        FindingKind::Event { reason, message, .. } => {
            Words::verbatim(level, reason, if message.is_empty() { reason } else { message })
        }
        FindingKind::Refused { message } => Words::verbatim(level, "FailedCreate", message),
        FindingKind::Unschedulable { message } => Words::verbatim(level, "FailedScheduling", message),
        FindingKind::Evicted { message } => Words::verbatim(level, "Evicted", message),
        FindingKind::Failed { reason, message } if message.is_empty() => {
            Words::plain(level, format!("The pod failed: {reason}"))
        }
        FindingKind::Failed { reason, message } => Words::plain(level, format!("The pod failed: {reason}: {message}")),
        FindingKind::Terminated { container, which, exit_code, reason, message, .. } => {
            let text = cause::terminated(container, *which, *exit_code, reason);
            Words::plain(level, text + &cause::last_words(message))
        }
        FindingKind::ImagePull { container, which, image, message } => {
            Words::with_reason(level, "ErrImagePull", cause::image_pull(container, *which, image, message))
        }
        FindingKind::Disrupted { reason, message } => Words::with_reason(level, reason, cause::disrupted(message)),
        FindingKind::Waiting { container, which, why, reason, image, message } => {
            let container = format!("{} {container}", which.as_str());
            Words::plain(level, cause::waiting(&container, *why, reason, image, message))
        }
        FindingKind::Unhealthy { container, which, message } => {
            Words::with_reason(level, "Unhealthy", cause::unhealthy(container, *which, message))
        }
        FindingKind::SlowPull { container, which, image, elapsed } => {
            Words::with_reason(level, "Pulling", cause::slow_pull(container, *which, image, *elapsed))
        }
        FindingKind::Recovered { stage, after } => Words::plain(level, cause::recovered(stage, *after)),
    };
    Words { hint: explanation.sentence, ..words }
}

fn created(kind: Kind) -> String {
    match kind {
        Kind::Pod => "Created pod".to_owned(),
        kind => format!("Queued pod from {kind}"),
    }
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Pod => "pod",
        kind => kind.as_str(),
    }
}

/// Formats a repeat: `(x9 over 2m)`
fn times(repeat: Repeat) -> String {
    format!("(x{} over {})", repeat.times, duration(repeat.over))
}

fn duration(over: SignedDuration) -> String {
    let seconds = over.as_secs();
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Cuts a text to at most `room` characters. A text that was cut ends in `…`.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        finding::{ContainerKind, WaitingFor},
        identity::{Subject, Uid},
    };

    const TOKEN: &str = "22222222-2222-4333-8444-555555555555";

    fn finding(of: Kind, kind: FindingKind) -> Finding {
        Finding {
            agents: [AgentToken::parse(TOKEN).unwrap()].into(),
            subject: Subject { kind: of, namespace: "ns".into(), name: "ws-1".into(), uid: Uid::parse("u").unwrap() },
            at: Timestamp::UNIX_EPOCH,
            kind,
            repeat: None,
            fact_id: None,
        }
    }

    fn event(message: &str) -> Finding {
        finding(Kind::Pod, FindingKind::Event { reason: "Pulling".into(), message: message.into(), warning: false })
    }

    fn text(finding: &Finding) -> String {
        render(finding, LogStyle::Fancy, |_| false)
            .text
            .replace([BOLD, WHITE, RESET].map(str::to_owned).join("").as_str(), "")
    }

    #[test]
    fn the_words_of_the_program_we_replace_stay() {
        let line = |kind, what| render(&finding(kind, what), LogStyle::Fancy, |_| false).text;
        assert_eq!(line(Kind::Pod, FindingKind::Created), "🐳 \u{1b}[1mCreated pod\u{1b}[0m: ws-1");
        assert_eq!(
            line(Kind::ReplicaSet, FindingKind::Created),
            "🐳 \u{1b}[1mQueued pod from ReplicaSet\u{1b}[0m: ws-1"
        );
        assert_eq!(line(Kind::Pod, FindingKind::Deleted), "🗑️ \u{1b}[1mDeleted pod\u{1b}[0m: ws-1");
        assert_eq!(line(Kind::ReplicaSet, FindingKind::Deleted), "🗑️ \u{1b}[1mDeleted ReplicaSet\u{1b}[0m: ws-1");
        assert_eq!(
            render(&event("Pulling image \"x\""), LogStyle::Fancy, |_| false).text,
            "\u{1b}[37mPulling image \"x\"\u{1b}[0m"
        );
    }

    #[test]
    fn a_plain_line_has_neither_emoji_nor_colours() {
        let line = |kind| render(&finding(Kind::Pod, kind), LogStyle::Plain, |_| false).text;
        assert_eq!(line(FindingKind::Created), "Created pod: ws-1");
        let event = FindingKind::Event { reason: "Pulling".into(), message: "Pulling image".into(), warning: false };
        assert_eq!(line(event), "Pulling image");
    }

    #[test]
    fn a_repeat_has_its_count_and_duration() {
        let repeat = Some(Repeat { times: 9, over: SignedDuration::from_secs(121) });
        let line = render(&Finding { repeat, ..event("Back-off pulling image") }, LogStyle::Fancy, |_| false);
        assert!(line.repeat && line.text.ends_with(" (x9 over 2m)"), "{}", line.text);
    }

    #[test]
    fn a_refusal_ends_a_start_and_names_the_remedy() {
        let message = "Error creating: pods \"ws-1-…\" is forbidden: exceeded quota: team, requested: pods=1, \
                       used: pods=3, limited: pods=3";
        let line = render(
            &finding(Kind::ReplicaSet, FindingKind::Refused { message: message.into() }),
            LogStyle::Fancy,
            |_| false,
        );
        assert_eq!(line.level, Level::Error);
        assert!(line.text.contains(message) && line.text.contains("quota \"team\""), "{}", line.text);
    }

    #[test]
    fn a_kill_for_memory_names_the_limit() {
        let what = FindingKind::Terminated {
            container: "dev".into(),
            which: ContainerKind::App,
            exit_code: 137,
            reason: "OOMKilled".into(),
            memory_limit: Some("2Gi".into()),
            message: String::new(),
        };
        let text = text(&finding(Kind::Pod, what));
        assert!(text.contains("OOMKilled") && text.contains("2Gi") && text.contains("memory"), "{text}");
    }

    #[test]
    fn secrets_in_messages_are_masked() {
        let text =
            text(&event(&format!("env {TOKEN}, https://bob:hunter2@registry/x?token=abc&y=1, password: \"pw1\"")));
        for secret in [TOKEN, "hunter2", "abc", "pw1"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("registry/x") && text.contains("y=1"), "{text}");
    }

    /// Returns every kind of finding, with this text in each of its fields.
    fn with_text(text: &str) -> Vec<FindingKind> {
        let text = || text.to_owned();
        let (container, image, message, reason) = (text, text, text, text);
        let waiting = |why| FindingKind::Waiting {
            container: container(),
            which: ContainerKind::App,
            why,
            reason: reason(),
            image: image(),
            message: message(),
        };
        let mut all: Vec<FindingKind> = [
            WaitingFor::Image,
            WaitingFor::ImageName,
            WaitingFor::CrashLoop,
            WaitingFor::Config,
            WaitingFor::Container,
        ]
        .map(waiting)
        .into();
        for reason in ["FailedMount".to_owned(), reason()] {
            all.push(FindingKind::Event { reason, message: message(), warning: true });
        }
        all.push(FindingKind::Event { reason: reason(), message: String::new(), warning: false });
        for prefix in ["", "exceeded quota: ", "0/1 nodes are available: 1 node(s) had untolerated taint {"] {
            all.push(FindingKind::Refused { message: format!("{prefix}{}", message()) });
            all.push(FindingKind::Unschedulable { message: format!("{prefix}{}", message()) });
        }
        all.push(FindingKind::Evicted { message: message() });
        all.push(FindingKind::Failed { reason: reason(), message: message() });
        for reason in ["OOMKilled".to_owned(), reason()] {
            let (container, memory_limit) = (container(), Some(text()));
            let message = message();
            all.push(FindingKind::Terminated {
                container,
                which: ContainerKind::App,
                exit_code: 1,
                reason,
                memory_limit,
                message,
            });
        }
        all.push(FindingKind::ImagePull {
            container: container(),
            which: ContainerKind::App,
            image: text(),
            message: message(),
        });
        all.push(FindingKind::Disrupted { reason: reason(), message: message() });
        all
    }

    #[test]
    fn the_kubernetes_reason_is_in_the_line() {
        let event = |reason: &str, message: &str, warning| {
            finding(Kind::Pod, FindingKind::Event { reason: reason.into(), message: message.into(), warning })
        };
        let message = || "something happened".to_owned();
        for (reason, finding) in [
            ("Evicted", finding(Kind::Pod, FindingKind::Evicted { message: message() })),
            ("FailedCreate", finding(Kind::Job, FindingKind::Refused { message: message() })),
            ("FailedScheduling", finding(Kind::Pod, FindingKind::Unschedulable { message: message() })),
            (
                "DeadlineExceeded",
                finding(Kind::Pod, FindingKind::Failed { reason: "DeadlineExceeded".into(), message: message() }),
            ),
            ("BackOff", event("BackOff", "Back-off restarting failed container", true)),
            ("Killing", event("Killing", "Stopping container dev", false)),
            ("Preempted", event("Preempted", "", true)),
        ] {
            let line = text(&finding);
            assert_eq!(line.matches(reason).count(), 1, "{line}");
        }
        assert_eq!(text(&event("Started", "Container started", false)), format!("{WHITE}Container started{RESET}"));
    }

    #[test]
    fn no_field_of_a_notice_shows_a_secret() {
        let other = "33333333-2222-4333-8444-555555555555";
        let text = format!("{TOKEN} {other} password: hunter22, \"api-key\":\"hunter23\" https://u:hunt/er24@h");
        for what in with_text(&text) {
            for kind in [Kind::Pod, Kind::Job] {
                let finding = finding(kind, what.clone());
                let finding = Finding { subject: Subject { name: text.as_str().into(), ..finding.subject }, ..finding };
                let line = render(&finding, LogStyle::Fancy, |token| token == AgentToken::parse(other).unwrap()).text;
                for secret in [TOKEN, other, "hunter22", "hunter23", "er24"] {
                    assert!(!line.contains(secret), "{secret}: {line}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_message_makes_a_line_that_coder_takes_whole(
            reason in "\\PC{0,40}", message in any::<String>(), times in 1_u32.., over in 0_i64..10_000_000, long in any::<bool>()
        ) {
            let message = if long { message.repeat(200) } else { message };
            let repeat = (times > 1).then(|| Repeat { times, over: SignedDuration::from_secs(over) });
            let refused = FindingKind::Refused { message: message.clone() };
            let unschedulable = FindingKind::Unschedulable { message: message.clone() };
            let evicted = FindingKind::Evicted { message: message.clone() };
            let waiting = FindingKind::Waiting {
                container: reason.clone(), which: ContainerKind::App, why: WaitingFor::Image, reason: reason.clone(), image: message.clone(), message: message.clone() };
            let event = FindingKind::Event { reason, message, warning: true };
            for kind in [refused, unschedulable, evicted, waiting, event] {
                let line = render(&Finding { repeat, agents: Arc::from([]), ..finding(Kind::Pod, kind) }, LogStyle::Fancy, |_| false);
                prop_assert!(line.text.chars().count() <= MAX_CHARS);
                prop_assert!(!line.text.contains(['\0', '\n', '\r']));
                prop_assert!(!line.text.is_empty());
            }
        }
    }
}
