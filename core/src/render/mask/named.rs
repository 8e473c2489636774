//! Values with a name that marks them as secret.

use std::ops::Range;

/// Ends of secret names, such as `X-Amz-Signature` or `AWS_SECRET_ACCESS_KEY`. Names are compared in lower case,
/// without `-`, `_` and `.`.
const SECRET_ENDS: [&str; 26] = [
    "token",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "apikey",
    "accesskey",
    "accesskeyid",
    "secretkey",
    "privatekey",
    "accountkey",
    "sharedkey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "authkey",
    "licensekey",
    "clientkey",
    "signature",
    "authorization",
    "credential",
    "credentials",
    "cookie",
    "connectionstring",
];
/// Names that are secret only as the whole name, or as the part after its last `-`, `_` or `.`.
const SECRET_PARTS: [&str; 8] = ["pass", "pw", "sig", "auth", "jwt", "pat", "otp", "pin"];

/// Words that follow a name and a colon in ordinary messages: `failed to fetch token: unexpected status`.
const PROSE: [&str; 46] = [
    "a",
    "access",
    "an",
    "authentication",
    "authorization",
    "bad",
    "cannot",
    "connection",
    "context",
    "could",
    "couldn't",
    "denied",
    "dial",
    "does",
    "error",
    "exec",
    "expired",
    "failed",
    "failure",
    "forbidden",
    "get",
    "got",
    "http",
    "invalid",
    "is",
    "malformed",
    "missing",
    "must",
    "nmi",
    "no",
    "not",
    "permission",
    "post",
    "pull",
    "required",
    "rpc",
    "secret",
    "secrets",
    "server",
    "the",
    "timeout",
    "token",
    "unable",
    "unauthorized",
    "unexpected",
    "unknown",
];

/// Schemes of an `Authorization` header, in lower case.
const SCHEMES: [&str; 7] = ["basic", "bearer", "token", "digest", "negotiate", "apikey", "bot"];

/// Maximum length of a name that is compared, in bytes.
const MAX_NAME: usize = 128;

/// Returns the secret values in a text.
pub(super) fn values(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    let mut before = "";
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
        if length == 0 {
            at += 1;
            continue;
        }
        let word = &text[at..at + length];
        let value = of_word(text, at, word, before);
        before = word;
        at += length;
        if let Some(value) = value {
            at = at.max(value.end);
            found.push(value);
        }
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

/// Returns the value that belongs to the word at this position, if it is a secret.
fn of_word(text: &str, at: usize, word: &str, before: &str) -> Option<Range<usize>> {
    let end = at + word.len();
    if ["basic", "bearer"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme)) {
        return credentials(text, end, word.eq_ignore_ascii_case("basic"));
    }
    if !is_secret(word, before) {
        return None;
    }
    let rest = &text[end..];
    if ends_quoted_path(&text[..at], rest) || is_volume(&text[..at], rest) || ends_url(&text[..at], rest) {
        return None;
    }
    // `<token>value</token>`
    if rest.starts_with('>') && text[..at].ends_with('<') {
        let length = rest[1..].find('<').unwrap_or(rest.len() - 1);
        return Some(end + 1..end + 1 + length).filter(|value| !value.is_empty());
    }
    let (separator, colon) = match separator(rest) {
        Some(found) => found,
        // `--token value`
        None if word.starts_with("--") && rest.starts_with(' ') => (1, false),
        None => return None,
    };
    let name = tail(word).to_ascii_lowercase();
    let header = ["authorization", "cookie"].iter().any(|header| name.ends_with(header));
    value(text, end + separator, colon, header)
}

/// True if the word between these texts ends a path or URL in quotes that prose follows, as in
/// `exec: "/etc/passwd": permission denied`.
fn ends_quoted_path(before: &str, rest: &str) -> bool {
    let path = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    let Some(quote) = rest.chars().next().filter(|c| "\"'`".contains(*c)) else { return false };
    let prose = rest[1..].strip_prefix(": ").is_some_and(|value| !value.starts_with(['"', '\'', '`', '\\']));
    prose && before.ends_with('/') && before.trim_end_matches(path).ends_with(quote)
}

/// True if the word between these texts is the name of a volume, as in
/// `SetUp failed for volume "token" : secret "x" not found`.
fn is_volume(before: &str, rest: &str) -> bool {
    rest.starts_with("\" : ") && before.ends_with(" for volume \"")
}

/// True if the word between these texts ends a URL that is followed by its answer:
/// `https://ghcr.io/token: 401 Unauthorized`.
fn ends_url(before: &str, rest: &str) -> bool {
    let Some(status) = rest.strip_prefix(": ") else { return false };
    let digits = status.bytes().take_while(u8::is_ascii_digit).count();
    let is_status = digits == 3 && status[digits..].bytes().next().is_none_or(|byte| b" :\"".contains(&byte));
    is_status
        && before.ends_with('/')
        && before.rsplit(char::is_whitespace).next().is_some_and(|url| url.contains("://"))
}

/// True if the word begins a message of the API server about an object: `serviceaccounts "x" not found`.
fn names_object(word: &str, rest: &str) -> bool {
    const ENDS: [&str; 4] = ["not found", "is forbidden:", "is invalid:", "already exists"];
    let resource = word.bytes().all(|byte| byte.is_ascii_lowercase() || b".-".contains(&byte));
    let end = rest.strip_prefix(" \"").and_then(|rest| Some(rest.split_once("\" ")?.1));
    resource && end.is_some_and(|end| ENDS.iter().any(|known| end.starts_with(known)))
}

/// True if the word names a secret. `before` is the word before it, because `api key` is two words.
fn is_secret(word: &str, before: &str) -> bool {
    let tail = tail(word);
    let name: String = tail.chars().filter(|c| !"-_.".contains(*c)).map(|c| c.to_ascii_lowercase()).collect();
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let last = tail.rsplit(['-', '_', '.']).next().unwrap_or_default();
    let two = name == "key" && ["api", "access"].iter().any(|first| before.eq_ignore_ascii_case(first));
    two || SECRET_ENDS.iter().any(|end| name.ends_with(end))
        || SECRET_PARTS.iter().any(|part| last.eq_ignore_ascii_case(part))
        || ["password", "passwd"].iter().any(|part| name.contains(part))
}

/// Returns the part of a word that is compared: its end, which decides what a name stands for.
fn tail(word: &str) -> &str {
    word.get(word.len().saturating_sub(MAX_NAME)..).unwrap_or(word)
}

/// Returns the length of the separator between a name and its value. Also returns true if it is a colon followed by
/// white space, and the name is not in quotes: then the value may be prose.
fn separator(rest: &str) -> Option<(usize, bool)> {
    let name_end = rest.trim_start_matches(['"', '\'', '\\', '`', ']']);
    let quoted = name_end.len() < rest.len();
    let sign = name_end.trim_start_matches(' ');
    let after =
        ["=>", ":=", "==", "->", "=", ":", "%3D", "%3d", "%3A", "%3a"].iter().find_map(|it| sign.strip_prefix(it))?;
    let value = after.trim_start_matches(' ');
    let colon = sign.starts_with(':') && !sign.starts_with(":=") && !quoted && value.len() < after.len();
    Some((rest.len() - value.len(), colon))
}

/// Returns the value at this position. `prose` is true if it may also be the next word of a sentence, `header` if it
/// may have several parts.
fn value(text: &str, at: usize, prose: bool, header: bool) -> Option<Range<usize>> {
    let rest = &text[at..];
    let opened = rest.trim_start_matches(['[', '{', '(', '<', '|', ' ']);
    let start = text.len() - opened.len();
    let escapes = opened.bytes().take_while(|byte| *byte == b'\\').count();
    if let Some(quote @ ('"' | '\'' | '`')) = opened[escapes..].chars().next() {
        let first = start + escapes + quote.len_utf8();
        let end = closing(text, first, quote, &opened[..=escapes]);
        return (first < end).then_some(first..end);
    }
    let mut end = start + unquoted(opened);
    let word = &text[start..end];
    if word.is_empty() {
        return None;
    }
    let plain = word.trim_end_matches([':', ',', '.', ';']).to_ascii_lowercase();
    if prose && (PROSE.contains(&plain.as_str()) || names_object(word, &text[end..])) {
        return None;
    }
    if header {
        let mut first = start;
        if SCHEMES.contains(&plain.as_str()) {
            let next = text[end..].trim_start_matches(' ');
            first = text.len() - next.len();
            end = first + unquoted(next);
        }
        // `Credential=…, SignedHeaders=…`, `a=b; c=d`
        while text[end..].starts_with([',', ';']) {
            let next = text[end + 1..].trim_start_matches(' ');
            let length = unquoted(next);
            if length == 0 || !next[..length].contains('=') {
                break;
            }
            end = text.len() - next.len() + length;
        }
        return (first < end).then_some(first..end);
    }
    Some(start..end)
}

/// Returns the credentials after `Basic` or `Bearer`.
fn credentials(text: &str, at: usize, basic: bool) -> Option<Range<usize>> {
    let rest = &text[at..];
    let value = rest.trim_start_matches(' ');
    if value.len() == rest.len() {
        return None;
    }
    let start = text.len() - value.len();
    let word = &value[..unquoted(value)];
    // `no basic auth credentials`, `Bearer realm="…"`, `bearer token is missing`
    let base64 = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte));
    let bare = word.trim_end_matches([':', ',', '.', ';']);
    let plain = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_lowercase());
    let challenge = ["realm=", "service=", "scope=", "error="].iter().any(|key| word.starts_with(key));
    let ordinary = plain
        && (basic
            || ["auth", "token", "tokens", "authentication", "credentials"].contains(&bare)
            || PROSE.contains(&bare));
    (!word.is_empty() && !challenge && !ordinary && (base64 || !basic)).then_some(start..start + word.len())
}

/// Returns the end of a quoted value that begins at `first`: its quote, or the end of the text if it was cut.
fn closing(text: &str, first: usize, quote: char, opening: &str) -> usize {
    let inside = &text[first..];
    if opening.len() > 1 {
        return inside.find(opening).map_or(text.len(), |length| first + length);
    }
    let mut escaped = false;
    for (length, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return first + length,
            _ => {}
        }
    }
    text.len()
}

/// Returns the length of an unquoted value at the start of a text. It ends at white space, at the next pair of a query,
/// and at punctuation that ends a sentence, a list or a quotation.
fn unquoted(text: &str) -> usize {
    let bytes = text.as_bytes();
    for (at, c) in text.char_indices() {
        let next = bytes.get(at + 1);
        let ends = match c {
            c if c.is_whitespace() => true,
            '&' => {
                let name = bytes[at + 1..].iter().take_while(|byte| is_word(**byte)).count();
                name > 0 && bytes.get(at + 1 + name) == Some(&b'=')
            }
            '"' | '\'' | '`' | ',' | ';' | ')' | ']' | '}' | '>' => {
                next.is_none_or(|next| next.is_ascii_whitespace() || b"\"'`,;)]}>:.\\".contains(next))
            }
            // The end of an escaped quotation.
            '\\' => next.is_some_and(|next| b"\"'".contains(next)),
            _ => false,
        };
        if ends {
            return at;
        }
    }
    text.len()
}
