//! Failures of requests to the API server, described without any of an object's content.

use kube::{core::Status, runtime::watcher};

use crate::runtime::innermost;

/// Maximum length of a failure's text, in characters.
const MAX_TEXT: usize = 400;

/// Description of a 401. Its causes are an expired token, a ServiceAccount that was deleted or recreated, or a wrong
/// clock.
const UNAUTHORIZED: &str = "the API server does not accept this program's token (401)";

/// Kind of a failure, used as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The requested history is no longer available: list again.
    Gone,
    /// 401: the API server does not accept the program's token.
    Unauthorized,
    /// 403: a permission is missing.
    Forbidden,
    /// The object does not exist.
    NotFound,
    /// The API server considers the request invalid.
    Refused,
    /// The API server is overloaded or unhealthy: retry.
    Overloaded,
    /// No response: retry.
    Unreachable,
    /// A response that does not make sense.
    Undecodable,
}

impl Reason {
    /// True if the same request may soon get another answer. This includes a missing permission: an API server that has
    /// just started refuses everything for a second or two, until it has read the roles.
    pub(super) fn is_transient(self) -> bool {
        match self {
            // The token is read from its file again, and the account may be recreated.
            Self::Overloaded | Self::Unreachable | Self::Undecodable | Self::Forbidden | Self::Unauthorized => true,
            Self::Gone | Self::NotFound | Self::Refused => false,
        }
    }

    fn of_code(code: u16) -> Self {
        match code {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            410 => Self::Gone,
            408 | 429 => Self::Overloaded,
            400..=499 => Self::Refused,
            _ => Self::Overloaded,
        }
    }
}

/// Failure of a request to the API server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(super) struct Failure {
    pub(super) reason: Reason,
    /// Description for logs and for operators.
    pub(super) text: String,
}

impl Failure {
    /// Failure of a response that does not decode. The decoder's message may quote a value and is dropped.
    pub(super) fn undecodable() -> Self {
        Self { reason: Reason::Undecodable, text: "an answer of the API server could not be decoded".into() }
    }

    /// Failure of a request without a response within the deadline.
    pub(super) fn late() -> Self {
        Self { reason: Reason::Unreachable, text: "unreachable: no answer within the deadline".into() }
    }

    /// Failure of a response with an HTTP error status and a body that is not a Status.
    pub(super) fn of_code(code: u16) -> Self {
        let reason = Reason::of_code(code);
        let text = match reason {
            Reason::Unauthorized => UNAUTHORIZED.to_owned(),
            reason => format!("{}: HTTP status {code}", <&str>::from(reason)),
        };
        Self { reason, text }
    }

    /// Failure with the message of the API server's Status.
    pub(super) fn of_status(status: &Status) -> Self {
        let expired = matches!(status.reason.as_str(), "Expired" | "Gone");
        let reason = if expired { Reason::Gone } else { Reason::of_code(status.code) };
        let message = if status.message.is_empty() { &status.reason } else { &status.message };
        let text = match reason {
            Reason::Unauthorized => format!("{UNAUTHORIZED}: {message}"),
            reason => format!("{}: {message}", <&str>::from(reason).replace('_', " ")),
        };
        Self { reason, text: cut(text) }
    }

    /// Failure of the client.
    pub(super) fn of_client(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(status),
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::undecodable(),
            other => Self { reason: Reason::Unreachable, text: cut(format!("unreachable: {}", innermost(other))) },
        }
    }

    /// Failure of a watch.
    pub(super) fn of_watcher(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::of_client(error),
            watcher::Error::WatchError(status) => Self::of_status(status),
            watcher::Error::NoResourceVersion => {
                Self { reason: Reason::Undecodable, text: "an answer of the API server has no resourceVersion".into() }
            }
        }
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_keeps_the_servers_message() {
        let status = Status::failure("pods is forbidden: User \"u\" cannot list", "Forbidden").with_code(403);
        let failure = Failure::of_status(&status);
        assert_eq!(failure.reason, Reason::Forbidden);
        assert_eq!(failure.text, "forbidden: pods is forbidden: User \"u\" cannot list");
        let long = Status::failure(&"ö".repeat(5_000), "").with_code(500);
        assert_eq!(Failure::of_status(&long).text.chars().count(), MAX_TEXT + 1);
    }

    #[test]
    fn a_401_is_about_the_token_and_not_about_permissions() {
        let status = Status::failure("Unauthorized", "Unauthorized").with_code(401);
        let failure = Failure::of_status(&status);
        assert_eq!(failure.reason, Reason::Unauthorized);
        assert_eq!(failure.text, "the API server does not accept this program's token (401): Unauthorized");
        assert_eq!(Failure::of_code(401).reason, Reason::Unauthorized);
    }

    #[test]
    fn an_undecodable_body_is_never_quoted() {
        let secret = serde_json::from_str::<u32>("\"hunter2\"").unwrap_err();
        assert!(secret.to_string().contains("hunter2"));
        let failure = Failure::of_client(&kube::Error::SerdeError(secret));
        assert!(!format!("{failure:?} {failure}").contains("hunter2"), "{failure}");
    }

    #[test]
    fn the_innermost_cause_is_reported() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let failure = Failure::of_client(&kube::Error::ReadEvents(refused));
        assert_eq!((failure.reason, failure.text.as_str()), (Reason::Unreachable, "unreachable: connection refused"));
    }
}
