//! Failures of requests, classified by what to do about them.

use std::time::Duration;

use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use super::answer::{Rate, date};
use crate::runtime::with_sources;

/// A failed request. Contains neither token nor lines nor URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct SendError {
    /// The failure.
    pub failure: Failure,
    /// State of the rate limit, if an answer had it.
    pub rate: Option<Rate>,
}

/// The failure of a request.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Failure {
    /// 401: no agent has this token: not yet, not now, or no longer.
    #[error("401: no agent has this token now")]
    Unauthorized,
    /// 413 with Coder's own message: the agent's log is full.
    #[error("413: the agent's log is full")]
    TooLarge,
    /// Any other 413: the request is too large for Coder or a proxy. A smaller one may pass.
    #[error("413: the request is too large")]
    BodyTooLarge,
    /// 400: malformed request.
    #[error("400: {message}")]
    BadRequest {
        /// Coder's message, without its detail.
        message: Box<str>,
    },
    /// 429: rate limit exceeded.
    #[error("429: more requests than Coder's rate limit allows")]
    Limited {
        /// Retry-After.
        retry_after: Option<Duration>,
    },
    /// 408, 425 or 5xx: temporary.
    #[error("the server answered {status}")]
    Server {
        /// The status code.
        status: u16,
    },
    /// No answer in time. The request may have been carried out.
    #[error("no answer in time")]
    Timeout,
    /// The request or its answer was lost.
    #[error("{reason}")]
    Network {
        /// The chain of causes.
        reason: Box<str>,
        /// True if there was a connection, so that the request may have been carried out.
        connected: bool,
    },
    /// The server at this URL is not Coder.
    #[error("not Coder at this URL: {reason}")]
    NotCoder {
        /// The evidence.
        reason: Box<str>,
    },
}

impl Failure {
    /// True if the request may have been carried out, so that a retry may show its lines twice.
    pub fn in_doubt(&self) -> bool {
        matches!(self, Self::Timeout | Self::Network { connected: true, .. } | Self::Server { status: 502 | 504 })
    }

    /// True if something rejected this one request, as opposed to being overloaded or unavailable. Coder itself does
    /// not answer this program's requests in this way.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::NotCoder { .. } | Self::BodyTooLarge => true,
            Self::Server { status } => !matches!(status, 408 | 425 | 500 | 502..=504),
            _ => false,
        }
    }

    /// True if the connection may lead to a server that is not Coder, or no longer to any.
    pub(super) fn doubts_server(&self) -> bool {
        matches!(
            self,
            Self::Server { .. } | Self::Timeout | Self::NotCoder { .. } | Self::Network { connected: true, .. }
        )
    }

    /// Refines the failure by the start of the body: Coder's own errors are JSON with a message, those of a proxy are
    /// not.
    pub(super) fn explained_by(self, body: &[u8]) -> Self {
        match (self, message(body)) {
            (Self::BodyTooLarge, Some(message)) if is_log_full(&message) => Self::TooLarge,
            (Self::BadRequest { .. }, Some(message)) => Self::BadRequest { message },
            (Self::BadRequest { .. }, None) => Self::not_coder("it answers 400"),
            (Self::Unauthorized, None) if !is_empty_or_json(body) => Self::not_coder("it answers 401"),
            (failure, _) => failure,
        }
    }

    pub(super) fn not_coder(reason: impl Into<Box<str>>) -> Self {
        Self::NotCoder { reason: reason.into() }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let connected = !error.is_connect();
        if error.is_timeout() && connected {
            return Self::Timeout;
        }
        // The URL may contain a password, and the target is known from the settings.
        let error = error.without_url();
        Self::Network { reason: with_sources(&error).into(), connected }
    }
}

/// The failure according to an answer's status and headers; `None` for success.
pub(super) fn classify(status: StatusCode, headers: &HeaderMap) -> Option<Failure> {
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Some(Failure::Limited { retry_after: retry_after(headers) });
    }
    if status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY) {
        return Some(Failure::Server { status: status.as_u16() });
    }
    if status.is_redirection() {
        return Some(Failure::not_coder(format!("it redirects ({})", status.as_u16())));
    }
    // Regardless of its body: many proxies send a web page with it.
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Some(Failure::BodyTooLarge);
    }
    // A login page of a proxy, whatever its status. In particular, this is not the 401 of a revoked agent.
    if is_html(headers) {
        return Some(Failure::not_coder(format!("it answers {} with a web page", status.as_u16())));
    }
    match status {
        _ if status.is_success() => None,
        StatusCode::UNAUTHORIZED if asks_for_a_login(headers) => Some(Failure::not_coder("it answers 401")),
        StatusCode::UNAUTHORIZED => Some(Failure::Unauthorized),
        StatusCode::BAD_REQUEST => Some(Failure::BadRequest { message: Box::default() }),
        _ => Some(Failure::not_coder(format!("it answers {}", status.as_u16()))),
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// True if a proxy requires authentication. Coder never answers in this way.
fn asks_for_a_login(headers: &HeaderMap) -> bool {
    let schemes = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()?.split(' ').next());
    schemes.into_iter().any(|scheme| {
        ["basic", "digest", "negotiate", "ntlm"].iter().any(|login| scheme.trim().eq_ignore_ascii_case(login))
    })
}

/// Maximum length of Coder's message, in characters.
const MESSAGE_CHARS: usize = 200;

/// The shortened message of Coder's error body. Its detail may quote the request, so it is not read.
fn message(body: &[u8]) -> Option<Box<str>> {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    Some(refusal.message.chars().take(MESSAGE_CHARS).collect::<String>().into())
}

fn is_log_full(message: &str) -> bool {
    message.to_ascii_lowercase().starts_with("logs limit exceeded")
}

fn is_empty_or_json(body: &[u8]) -> bool {
    body.trim_ascii().is_empty() || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// `Retry-After`, as seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second();
    u64::try_from(until.checked_sub(date(headers)?)?).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{DATE, HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.clone(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn a_web_page_is_never_a_refused_token() {
        let html = headers(&[(CONTENT_TYPE, "text/HTML; charset=utf-8")]);
        for status in [200, 401, 400, 403, 404, 451] {
            let failure = classify(StatusCode::from_u16(status).unwrap(), &html);
            assert!(matches!(failure, Some(Failure::NotCoder { .. })), "{status}: {failure:?}");
        }
        assert_eq!(classify(StatusCode::BAD_GATEWAY, &html), Some(Failure::Server { status: 502 }));
    }

    #[test]
    fn only_coders_own_413_is_a_full_log() {
        let full = |body: &str| Failure::BodyTooLarge.explained_by(body.as_bytes());
        assert_eq!(full(r#"{"message": "Logs limit exceeded", "detail": "x"}"#), Failure::TooLarge);
        for other in ["", "null", "[]", "<html>", r#"{"message": "Request body too large"}"#, r#"{"message": 7}"#] {
            assert_eq!(full(other), Failure::BodyTooLarge, "{other}");
        }
        let html = headers(&[(CONTENT_TYPE, "text/html")]);
        assert_eq!(classify(StatusCode::PAYLOAD_TOO_LARGE, &html), Some(Failure::BodyTooLarge));
    }

    #[test]
    fn a_401_of_a_proxy_is_not_a_refused_token() {
        let explained = |body: &str| Failure::Unauthorized.explained_by(body.as_bytes());
        for coder in ["", "{}", r#"{"message": "Workspace agent not authorized."}"#, r#"{"message": "Suspended"}"#] {
            assert_eq!(explained(coder), Failure::Unauthorized, "{coder}");
        }
        assert!(matches!(explained("Access denied"), Failure::NotCoder { .. }));
        for (scheme, refused) in [("Basic realm=\"proxy\"", false), ("Negotiate", false), ("Bearer", true)] {
            let failure = classify(StatusCode::UNAUTHORIZED, &headers(&[(WWW_AUTHENTICATE, scheme)]));
            assert_eq!(failure == Some(Failure::Unauthorized), refused, "{scheme}");
        }
    }

    #[test]
    fn a_400_without_coders_message_is_not_coders() {
        let explained = |body: &str| Failure::BadRequest { message: Box::default() }.explained_by(body.as_bytes());
        assert_eq!(explained(r#"{"message": "No logs"}"#), Failure::BadRequest { message: "No logs".into() });
        for other in ["", "Bad Request", r#"{"error": "blocked"}"#] {
            assert!(matches!(explained(other), Failure::NotCoder { .. }), "{other}");
        }
    }

    #[test]
    fn an_absurd_retry_after_is_ignored_or_bounded_later() {
        let read = |text: &'static str| retry_after(&headers(&[(RETRY_AFTER, text)]));
        for text in ["-5", "1e9", "NaN", "", "99999999999999999999999", "Mon, 99 Jul 2026 10:00:17 GMT"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read("18446744073709551615"), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let seconds = headers(&[(RETRY_AFTER, "60")]);
        assert_eq!(retry_after(&seconds), Some(Duration::from_mins(1)));
        let until = headers(&[(RETRY_AFTER, "Mon, 20 Jul 2026 10:00:17 GMT"), (DATE, "Mon, 20 Jul 2026 10:00:07 GMT")]);
        assert_eq!(retry_after(&until), Some(Duration::from_secs(10)));
        let past = headers(&[(RETRY_AFTER, "Mon, 20 Jul 2026 10:00:07 GMT"), (DATE, "Mon, 20 Jul 2026 10:00:17 GMT")]);
        assert_eq!(retry_after(&past), None);
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "soon")])), None);
    }
}
