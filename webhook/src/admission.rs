//! Answers reviews: bytes in, bytes out.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use axum::body::Bytes;
use logstream_core::resource::Kind;
use logstream_runtime::Clock;
use tracing::{debug, debug_span, error};

use crate::{
    decision::Decision,
    metrics::{Metrics, Outcome},
    policy::Policy,
    recent_patches::RecentPatches,
    registrar::Registrar,
    rejection::Rejection,
    review::{Answer, Request, Review},
};

/// Warning for the user of an unreadable object, shown by the API server. The object is admitted.
const NOT_UNDERSTOOD: &str =
    "coder-logstream-kube could not read this object; a Coder workspace in it may miss the first lines of its log";

/// Answers reviews.
pub(crate) struct Admission {
    registrar: Arc<dyn Registrar>,
    policy: Policy,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    recent: RecentPatches,
}

impl Admission {
    pub(crate) fn new(registrar: Arc<dyn Registrar>, policy: Policy, metrics: Metrics, clock: Arc<dyn Clock>) -> Self {
        Self { registrar, policy, metrics, clock, recent: RecentPatches::default() }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers a review. Each review with a uid is answered, and each answer admits the object.
    pub(crate) fn answer(&self, body: &[u8]) -> Result<Bytes, Rejection> {
        let started = Instant::now();
        let review = Review::parse(body)?;
        let span = debug_span!("admission", uid = review.uid);
        let (kind, outcome, answer) = span.in_scope(|| {
            // A bug here or in the registrar must not refuse a pod, even with `failurePolicy: Fail`.
            catch_unwind(AssertUnwindSafe(|| self.decide(&review))).unwrap_or_else(|_| {
                error!("admission panicked, admitted the object unchanged");
                (None, Outcome::Panicked, Answer::default())
            })
        });
        self.metrics.reviewed(kind, outcome, started.elapsed());
        // Cannot fail: an answer consists of strings and a JSON value.
        answer.encode(&review.uid).map_err(|_| Rejection::NotAReview { missing: "its answer cannot be encoded" })
    }

    fn decide(&self, review: &Review<'_>) -> (Option<Kind>, Outcome, Answer) {
        let request = review.request.as_ref();
        let now = self.clock.now();
        let decision = request.map_or_else(Decision::unreadable, |request| {
            Decision::of(request, &review.uid, now, &self.policy, &self.recent)
        });
        if decision.patch.is_some() {
            self.recent.remember(&review.uid, now);
        }
        log(request, &decision);
        let Decision { kind, outcome, registration, patch, not_tokens, .. } = decision;
        if not_tokens > 0 {
            self.metrics.saw_no_token();
        }
        if let Some(registration) = registration {
            self.registrar.register(registration);
            self.metrics.registered();
        }
        let warning = (outcome == Outcome::NotUnderstood).then_some(NOT_UNDERSTOOD);
        (kind, outcome, Answer { patch, warning })
    }
}

fn log(request: Option<&Request<'_>>, decision: &Decision) {
    let Decision { kind, outcome, agents, not_tokens, .. } = decision;
    let (namespace, name) = request.map_or(("", ""), |request| (request.namespace(), request.name()));
    let (kind, outcome) = (kind.map_or("other", Kind::as_str), <&str>::from(outcome));
    debug!(namespace, kind, name, agents, not_tokens, outcome, "review decided");
}
