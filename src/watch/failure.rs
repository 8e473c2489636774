//! Why the API server gave no answer, in words that hold nothing of an object's content.

use kube::{core::Status, runtime::watcher};

use crate::runtime::innermost;

/// The longest text of an answer that is repeated in a log.
const MAX_TEXT: usize = 400;

/// What a 401 means: an expired token, a ServiceAccount that was deleted or created again, or a clock that is wrong.
const UNAUTHORIZED: &str = "the API server does not accept this program's token (401)";

/// The kind of a failure; a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The history that was asked for is no longer there: list anew.
    Gone,
    /// The API server does not accept the program's token: 401.
    Unauthorized,
    /// A permission is missing: 403.
    Forbidden,
    /// There is no such object.
    NotFound,
    /// The request is wrong in the eyes of the API server.
    Refused,
    /// The API server is overloaded or ill: try again.
    Overloaded,
    /// No answer: try again.
    Unreachable,
    /// An answer that makes no sense.
    Undecodable,
}

impl Reason {
    /// Whether the same request may get another answer soon. A missing permission is such a case: an API server that
    /// has just started refuses everything for a second or two, until it has read the roles.
    pub(super) fn is_transient(self) -> bool {
        match self {
            // The token is read again from its file, and the account may be created again.
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

/// A request that had no useful answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(super) struct Failure {
    pub(super) reason: Reason,
    /// For a log and for people.
    pub(super) text: String,
}

impl Failure {
    /// An answer that does not decode. The decoder's own words may quote a value: they are not kept.
    pub(super) fn undecodable() -> Self {
        Self { reason: Reason::Undecodable, text: "an answer of the API server could not be decoded".into() }
    }

    /// No answer within the deadline.
    pub(super) fn late() -> Self {
        Self { reason: Reason::Unreachable, text: "unreachable: no answer within the deadline".into() }
    }

    /// An answer with an HTTP status that is no success, whose body is no Status.
    pub(super) fn of_code(code: u16) -> Self {
        let reason = Reason::of_code(code);
        let text = match reason {
            Reason::Unauthorized => UNAUTHORIZED.to_owned(),
            reason => format!("{}: HTTP status {code}", <&str>::from(reason)),
        };
        Self { reason, text }
    }

    /// The API server's own words.
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

    /// A failure of the client.
    pub(super) fn of_client(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(status),
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::undecodable(),
            other => Self { reason: Reason::Unreachable, text: cut(format!("unreachable: {}", innermost(other))) },
        }
    }

    /// A failure of a watch.
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
    fn a_status_is_told_in_the_servers_words() {
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
    fn what_does_not_decode_is_never_quoted() {
        let secret = serde_json::from_str::<u32>("\"hunter2\"").unwrap_err();
        assert!(secret.to_string().contains("hunter2"));
        let failure = Failure::of_client(&kube::Error::SerdeError(secret));
        assert!(!format!("{failure:?} {failure}").contains("hunter2"), "{failure}");
    }

    #[test]
    fn the_innermost_cause_is_told() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let failure = Failure::of_client(&kube::Error::ReadEvents(refused));
        assert_eq!((failure.reason, failure.text.as_str()), (Reason::Unreachable, "unreachable: connection refused"));
    }
}
