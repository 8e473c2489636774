//! Requests that are not reviews: the reason as a status, a message and a metric label.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

/// Reason why a request was rejected. With `failurePolicy: Ignore` a rejection refuses no pod. The API server is not
/// known to send such requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("nothing is served at this path; send reviews to POST {path}", path = crate::PATH)]
    Path,
    #[error("this method is not accepted; send reviews to POST {path}", path = crate::PATH)]
    Method,
    #[error("the Content-Type is not accepted; it must be application/json")]
    ContentType,
    #[error("the Content-Encoding is not accepted; send the body without compression")]
    ContentEncoding,
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body did not arrive within {seconds} seconds")]
    Slow { seconds: u64 },
    #[error("the body is incomplete")]
    Incomplete,
    #[error("too many request bodies are in memory; try again")]
    Overloaded,
    #[error("the body is not JSON: line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error("the body is JSON but not an AdmissionReview: {missing}")]
    NotAReview { missing: &'static str },
    #[error("the version of the AdmissionReview is not supported; use admission.k8s.io/v1")]
    Version,
}

/// The reason as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// A path that is not served.
    Path,
    /// A method other than POST.
    Method,
    /// A Content-Type other than `application/json`.
    ContentType,
    /// A compressed body.
    ContentEncoding,
    /// A body over the limit.
    TooLarge,
    /// A body that did not arrive in time.
    Slow,
    /// An incomplete body.
    Incomplete,
    /// Too many bytes of bodies in memory.
    Overloaded,
    /// Not JSON.
    NotJson,
    /// JSON, but not an AdmissionReview with a uid.
    NotAReview,
    /// An AdmissionReview of a version other than v1.
    Version,
}

impl Rejection {
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Path => Reason::Path,
            Self::Method => Reason::Method,
            Self::ContentType => Reason::ContentType,
            Self::ContentEncoding => Reason::ContentEncoding,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::Slow { .. } => Reason::Slow,
            Self::Incomplete => Reason::Incomplete,
            Self::Overloaded => Reason::Overloaded,
            Self::NotJson { .. } => Reason::NotJson,
            Self::NotAReview { .. } => Reason::NotAReview,
            Self::Version => Reason::Version,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType | Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Incomplete | Self::NotJson { .. } | Self::NotAReview { .. } => StatusCode::BAD_REQUEST,
            Self::Version => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl IntoResponse for &Rejection {
    fn into_response(self) -> Response {
        let text = format!("{self}\n");
        (self.status(), [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
    }
}
