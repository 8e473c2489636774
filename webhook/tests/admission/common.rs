//! Helpers for the tests of the router: reviews as the API server wrote them, and a registrar that keeps registrations.

use std::{
    io,
    sync::{Arc, Mutex, Once},
};

use axum::{Router, body::Body};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use logstream_core::registration::Registration;
use logstream_runtime::Clock;
use logstream_webhook::{Metrics, Policy, Registrar, router};
use serde_json::Value;
use tower::ServiceExt as _;
use tracing_subscriber::fmt::MakeWriter;

/// Time at which every test takes place.
pub(crate) const NOW: &str = "2026-11-22T17:35:45.678Z";
/// The same time, as in our annotation.
pub(crate) const NOW_SECONDS: &str = "2026-11-22T17:35:45Z";

/// Every review captured from a real API server, by name.
pub(crate) const FIXTURES: [(&str, &str); 6] = [
    ("pod", include_str!("../fixtures/pod.json")),
    ("pod-dry-run", include_str!("../fixtures/pod-dry-run.json")),
    ("pod-of-job", include_str!("../fixtures/pod-of-job.json")),
    ("pod-of-replicaset", include_str!("../fixtures/pod-of-replicaset.json")),
    ("pod-of-statefulset", include_str!("../fixtures/pod-of-statefulset.json")),
    ("replicaset-of-deployment", include_str!("../fixtures/replicaset-of-deployment.json")),
];

/// A captured review.
pub(crate) fn fixture(name: &str) -> Value {
    let (_, text) = FIXTURES.iter().find(|(fixture, _)| *fixture == name).expect("a fixture of that name");
    serde_json::from_str(text).expect("a fixture is JSON")
}

/// Keeps every registration.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Vec<Registration>>);

impl Recorder {
    pub(crate) fn all(&self) -> Vec<Registration> {
        self.0.lock().unwrap().clone()
    }
}

impl Registrar for Recorder {
    fn register(&self, registration: Registration) {
        self.0.lock().unwrap().push(registration);
    }
}

/// A webhook and everything that can be observed of it.
pub(crate) struct Webhook {
    pub(crate) router: Router,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) metrics: Metrics,
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(|| NOW.parse().expect("a timestamp"))
}

impl Webhook {
    pub(crate) fn new() -> Self {
        Self::with(Policy::default())
    }

    pub(crate) fn with(policy: Policy) -> Self {
        let (recorder, metrics) = (Arc::new(Recorder::default()), Metrics::new());
        let router = router(Arc::clone(&recorder) as Arc<dyn Registrar>, policy, metrics.clone(), clock());
        Self { router, recorder, metrics }
    }

    /// Sends any request. Returns the status, the content type and the body.
    pub(crate) async fn send(&self, request: Request<Body>) -> (StatusCode, String, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let media_type = head.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, media_type.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
    }

    /// Sends a body as the API server does.
    pub(crate) async fn post(&self, body: impl Into<Body>) -> (StatusCode, String) {
        let (status, _, body) = self.send(post(body)).await;
        (status, body)
    }

    /// Sends a review that must be answered. Returns the answer.
    pub(crate) async fn review(&self, review: &Value) -> Answer {
        let (status, media_type, body) = self.send(post(review.to_string())).await;
        assert_eq!((status, media_type.as_str()), (StatusCode::OK, "application/json"), "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(answer["kind"], "AdmissionReview");
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        assert_eq!(answer["response"]["allowed"], true);
        Answer(answer)
    }
}

pub(crate) fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post("/mutate?timeout=2s").header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

/// An answer that admits the object.
pub(crate) struct Answer(pub(crate) Value);

impl Answer {
    /// The patch; `None` if there is none.
    pub(crate) fn patch(&self) -> Option<json_patch::Patch> {
        let response = &self.0["response"];
        let patch = response["patch"].as_str()?;
        assert_eq!(response["patchType"], "JSONPatch");
        Some(serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap())
    }

    pub(crate) fn warnings(&self) -> Option<&Value> {
        self.0["response"].get("warnings")
    }

    /// The object after the patch.
    pub(crate) fn apply(&self, review: &Value) -> Value {
        let mut object = review["request"]["object"].clone();
        if let Some(patch) = self.patch() {
            json_patch::patch(&mut object, &patch).expect("the patch applies");
        }
        object
    }
}

/// Creates a subscriber that writes everything that is traced, down to TRACE.
fn everything(to: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) -> impl tracing::Subscriber + Send + Sync {
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(to).finish()
}

/// Everything that is traced, as text.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    /// Captures everything down to TRACE, on this thread, until the guard is dropped.
    pub(crate) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        // With a single subscriber, the thread that first reaches an event decides for all threads whether it is of
        // interest. That may be a thread of another test, which has no subscriber.
        static ELSEWHERE: Once = Once::new();
        ELSEWHERE.call_once(|| tracing::subscriber::set_global_default(everything(io::sink)).unwrap());
        let captured = Self::default();
        let writer = captured.clone();
        (captured, tracing::subscriber::set_default(everything(move || writer.clone())))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}
