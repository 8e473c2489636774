//! HTTP responses as Coder writes them.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::rate_limit::LimitStatus;

pub(super) type Answer = Response<Full<Bytes>>;

/// The detail of Coder's 401 response.
const NOT_VALID: &str = "The agent cannot authenticate until the workspace provision job has been completed. If the \
                         job is no longer running, this agent is invalid.";

pub(super) fn json(status: StatusCode, body: &Value) -> Answer {
    with_type(status, "application/json; charset=utf-8", body.to_string())
}

pub(super) fn error(status: StatusCode, message: &str, detail: &str) -> Answer {
    json(status, &json!({ "message": message, "detail": detail }))
}

pub(super) fn unauthorized() -> Answer {
    error(StatusCode::UNAUTHORIZED, "Workspace agent not authorized.", NOT_VALID)
}

pub(super) fn too_many(status: &LimitStatus) -> Answer {
    let text = format!("Rate limited: more than {} requests.\n", status.limit);
    with_type(StatusCode::TOO_MANY_REQUESTS, "text/plain; charset=utf-8", text)
}

pub(super) fn html(status: StatusCode) -> Answer {
    let text = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>proxy</body></html>\n");
    with_type(status, "text/html", text)
}

pub(super) fn text(status: StatusCode, text: &str) -> Answer {
    with_type(status, "text/plain; charset=utf-8", text.to_owned())
}

pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// Adds the rate limit headers, which every response of Coder has.
pub(super) fn add_limit(answer: &mut Answer, status: &LimitStatus) {
    let headers = answer.headers_mut();
    headers.insert(HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from(status.limit));
    headers.insert(HeaderName::from_static("x-ratelimit-remaining"), HeaderValue::from(status.remaining));
    headers.insert(HeaderName::from_static("x-ratelimit-reset"), HeaderValue::from(status.reset));
    if let Some(seconds) = status.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

fn with_type(status: StatusCode, content_type: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
