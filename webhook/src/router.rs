//! Routes of the webhook.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::{HeaderMap, header};
use logstream_runtime::Clock;

use crate::{
    admission::Admission, body::Bodies, metrics::Metrics, policy::Policy, registrar::Registrar, rejection::Rejection,
};

/// Path of the webhook.
pub const PATH: &str = "/mutate";

#[derive(Clone)]
struct App {
    admission: Arc<Admission>,
    bodies: Bodies,
}

/// The webhook: `POST /mutate` answers an AdmissionReview v1 with one that admits the object.
///
/// Other requests get a 4xx with a message; 503 if there are too many bytes of bodies in memory (see the limits in
/// `body.rs`).
///
/// Pods that `policy` does not select are admitted unchanged and not recorded.
pub fn router(registrar: Arc<dyn Registrar>, policy: Policy, metrics: Metrics, clock: Arc<dyn Clock>) -> Router {
    let admission = Arc::new(Admission::new(registrar, policy, metrics, clock));
    Router::new()
        .route(PATH, post(mutate))
        .method_not_allowed_fallback(async |State(app): State<App>| app.reject(&Rejection::Method))
        .fallback(async |State(app): State<App>| app.reject(&Rejection::Path))
        .with_state(App { admission, bodies: Bodies::new() })
}

async fn mutate(State(app): State<App>, request: Request) -> Response {
    match app.answer(request).await {
        Ok(response) => response,
        Err(rejection) => app.reject(&rejection),
    }
}

impl App {
    async fn answer(&self, request: Request) -> Result<Response, Rejection> {
        let (head, body) = request.into_parts();
        accept(&head.headers)?;
        let body = self.bodies.read(body).await?;
        let answer = self.admission.answer(body.bytes())?;
        Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
    }

    fn reject(&self, rejection: &Rejection) -> Response {
        self.admission.metrics().rejected(rejection.reason());
        tracing::debug!(reason = <&str>::from(rejection.reason()), "request rejected");
        rejection.into_response()
    }
}

/// True if the headers announce uncompressed JSON. The API server accepts gzip in answers and never sends it.
fn accept(headers: &HeaderMap) -> Result<(), Rejection> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let media_type = text(header::CONTENT_TYPE).and_then(|value| value.split(';').next()).unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case("application/json") {
        return Err(Rejection::ContentType);
    }
    match headers.get(header::CONTENT_ENCODING) {
        None => Ok(()),
        Some(encoding) if encoding.as_bytes().eq_ignore_ascii_case(b"identity") => Ok(()),
        Some(_) => Err(Rejection::ContentEncoding),
    }
}
