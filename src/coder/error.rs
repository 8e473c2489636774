//! Why a request was not taken, told apart by what can be done about it.

use std::{fmt::Write as _, time::Duration};

use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};

use super::answer::{Rate, date};

/// A request that was not taken. Holds neither the token nor the lines, nor the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct SendError {
    /// What went wrong.
    pub failure: Failure,
    /// The state of the limit, where an answer came and told it.
    pub rate: Option<Rate>,
}

/// What went wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// 401: Coder knows no agent of this token: not yet, not now, or no longer.
    #[error("401: no agent has this token now")]
    Unauthorized,
    /// 413: the agent's log is full.
    #[error("413: the agent's log is full")]
    TooLarge,
    /// 400: what we sent was not what Coder expects.
    #[error("400: {message}")]
    BadRequest {
        /// Coder's own words, without its details.
        message: Box<str>,
    },
    /// 429: more requests than the limit allows.
    #[error("429: more requests than Coder's rate limit allows")]
    Limited {
        /// How long Coder wants no more of them.
        retry_after: Option<Duration>,
    },
    /// 408, 425 or 5xx: trouble that passes.
    #[error("the server answered {status}")]
    Server {
        /// The status code.
        status: u16,
    },
    /// No answer in time. The request may have been carried out.
    #[error("no answer in time")]
    Timeout,
    /// The request or its answer was lost on the way.
    #[error("{reason}")]
    Network {
        /// The chain of causes.
        reason: Box<str>,
        /// Whether a connection stood, so that the request may have been carried out.
        connected: bool,
    },
    /// What answers at this URL is not Coder.
    #[error("not Coder at this URL: {reason}")]
    NotCoder {
        /// By what that shows.
        reason: Box<str>,
    },
}

impl Failure {
    /// Whether the request may have been carried out all the same: a repetition then shows its lines twice.
    pub fn in_doubt(&self) -> bool {
        matches!(self, Self::Timeout | Self::Network { connected: true, .. } | Self::Server { status: 502 | 504 })
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
        // The URL could hold a password; where it leads is known from the settings.
        let error = error.without_url();
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            let _ = write!(reason, ": {cause}");
            source = cause.source();
        }
        Self::Network { reason: reason.into(), connected }
    }
}

/// What an answer's head says; `None` for success.
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
    // A login page of a proxy, with whatever status: above all not the 401 of an agent that is over.
    if is_html(headers) {
        return Some(Failure::not_coder(format!("it answers {} with a web page", status.as_u16())));
    }
    match status {
        _ if status.is_success() => None,
        StatusCode::UNAUTHORIZED => Some(Failure::Unauthorized),
        StatusCode::PAYLOAD_TOO_LARGE => Some(Failure::TooLarge),
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
        for status in [200, 401, 400, 413, 404] {
            let failure = classify(StatusCode::from_u16(status).unwrap(), &html);
            assert!(matches!(failure, Some(Failure::NotCoder { .. })), "{status}: {failure:?}");
        }
        assert_eq!(classify(StatusCode::BAD_GATEWAY, &html), Some(Failure::Server { status: 502 }));
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
