//! The logs as a page that looks like Coder's startup log. One file without any other resource, light and dark.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use logstream_testing::coder::{Level, Line};

/// A log on the page.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    /// The scenario's name, also the anchor.
    pub(crate) name: String,
    /// `OWNER/WORKSPACE`
    pub(crate) workspace: String,
    /// Description of the scenario.
    pub(crate) title: String,
    /// True if the owner read what was expected.
    pub(crate) complete: bool,
    pub(crate) lines: Vec<Line>,
}

const STYLE: &str = include_str!("html.css");

/// A ship's wheel: the mark of lines from Kubernetes.
const ICON: &str = r#"<svg class="defs" aria-hidden="true"><symbol id="k" viewBox="0 0 16 16"><circle cx="8" cy="8" r="4.4" fill="none" stroke="currentColor" stroke-width="1.3"/><circle cx="8" cy="8" r="1.3" fill="currentColor"/><path d="M8 1v14M1 8h14M3.05 3.05l9.9 9.9M12.95 3.05l-9.9 9.9" stroke="currentColor" stroke-width="1.1" stroke-linecap="round"/></symbol></svg>"#;

/// Writes the page into a file.
pub(crate) fn write(path: &Path, sections: &[Section]) -> Result<()> {
    std::fs::write(path, page(sections)).with_context(|| format!("--html {}", path.display()))
}

/// The page.
fn page(sections: &[Section]) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>Startup logs: \
         coder-logstream-kube</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{ICON}\n"
    );
    for section in sections {
        let mark = if section.complete { "" } else { " <span class=\"missing\">not explained</span>" };
        let _ = write!(
            html,
            "<section id=\"{}\">\n<header><h2>{}</h2><p>{}{mark}</p></header>\n<ol class=\"log\">\n",
            escaped(&section.name),
            escaped(&section.workspace),
            escaped(&section.title),
        );
        for line in &section.lines {
            html += &row(line);
        }
        html += "</ol>\n</section>\n";
    }
    html + "</body>\n</html>\n"
}

fn row(line: &Line) -> String {
    let at = Timestamp::try_from(line.at).unwrap_or_default().to_zoned(TimeZone::system());
    format!(
        "<li class=\"{}\"><svg class=\"icon\"><title>Kubernetes</title><use href=\"#k\"/></svg><time>{}</time><code>{}</code></li>\n",
        class(line.level),
        at.strftime("%H:%M:%S%.3f"),
        coloured(&line.output),
    )
}

const fn class(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

/// The text with its colour escapes as spans. Other escape sequences are left out.
fn coloured(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 32);
    let mut open = false;
    let mut parts = text.split("\u{1b}[");
    html += &escaped(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|c: char| !(c.is_ascii_digit() || c == ';')).unwrap_or(part.len());
        let (codes, rest) = part.split_at(end);
        let is_colour = rest.starts_with('m');
        if is_colour {
            if std::mem::take(&mut open) {
                html += "</span>";
            }
            let classes: Vec<String> = codes.split(';').filter_map(ansi).collect();
            if !classes.is_empty() {
                let _ = write!(html, "<span class=\"{}\">", classes.join(" "));
                open = true;
            }
        }
        html += &escaped(rest.get(1..).unwrap_or_default());
    }
    if open {
        html += "</span>";
    }
    html
}

/// The class of a colour code; `None` for a reset and for codes that the page does not show.
fn ansi(code: &str) -> Option<String> {
    match code.parse::<u8>().ok()? {
        1 => Some("bold".to_owned()),
        2 => Some("dim".to_owned()),
        code @ (30..=37 | 90..=97) => Some(format!("c{code}")),
        _ => None,
    }
}

/// Escapes text for HTML, also within quotes. Control characters become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            // Characters that change the reading direction would change it for the rest of the page.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            character if character.is_control() && character != '\t' => out.push('\u{fffd}'),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use uuid::Uuid;

    use super::*;

    fn line(level: Level, output: &str) -> Line {
        Line {
            at: SystemTime::UNIX_EPOCH,
            arrived: Instant::now(),
            created_at: Timestamp::UNIX_EPOCH,
            level,
            output: output.to_owned(),
            source: Uuid::nil(),
            source_known: true,
            batch: 0,
            generation: 0,
        }
    }

    fn section(title: &str, lines: Vec<Line>) -> Section {
        let text = || title.to_owned();
        Section { name: text(), workspace: text(), title: text(), complete: false, lines }
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile =
            "</code><script>alert('x')</script>\" onload=\"x&amp;\u{1b}[37m<b>\u{1b}[0m\u{1b}]8;;x\u{7}\u{202e}";
        let page = page(&[section(hostile, vec![line(Level::Error, hostile)])]);
        for tag in ["<script", "<b>", "onload=\"", "\u{1b}", "\u{7}", "\u{202e}"] {
            assert!(!page.contains(tag), "{tag}: {page}");
        }
        assert!(
            page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot; onload=&quot;x&amp;amp;"),
            "{page}"
        );
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let page = page(&[section("a", vec![line(Level::Warn, "see https://example.com")])]);
        for way in ["src=", "href=\"http", "url(", "@import", "<link", "<script"] {
            assert!(!page.contains(way), "{way}");
        }
    }

    #[test]
    fn colours_become_classes() {
        assert_eq!(coloured("a \u{1b}[1mb\u{1b}[0m c"), "a <span class=\"bold\">b</span> c");
        assert_eq!(coloured("\u{1b}[1;31mred"), "<span class=\"bold c31\">red</span>");
        assert_eq!(
            coloured("\u{1b}[32mg\u{1b}[33my\u{1b}[m."),
            "<span class=\"c32\">g</span><span class=\"c33\">y</span>."
        );
        assert_eq!(coloured("\u{1b}[2Jx\u{1b}["), "x");
    }

    #[test]
    fn each_line_has_its_level() {
        let page = page(&[section("a", vec![line(Level::Warn, "w"), line(Level::Error, "e")])]);
        assert!(page.contains("<li class=\"warn\">") && page.contains("<li class=\"error\">"), "{page}");
    }
}
