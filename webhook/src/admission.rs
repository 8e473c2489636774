//! From the bytes of a review to the bytes of its answer.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use axum::body::Bytes;
use tracing::{debug, debug_span, error};

use crate::{
    issued::Issued,
    judgement::Judgement,
    metrics::{Kind, Metrics, Outcome},
    policy::Policy,
    registrar::{Clock, Registrar},
    rejection::Rejection,
    review::{Answer, Request, Review},
};

/// Told to the user whose object we could not read, as the API server shows it: the object itself is admitted.
const NOT_UNDERSTOOD: &str =
    "coder-logstream-kube could not read this object; a Coder workspace in it may miss the first lines of its log";

/// Answers reviews.
pub(crate) struct Admission {
    registrar: Arc<dyn Registrar>,
    policy: Policy,
    metrics: Metrics,
    clock: Clock,
    issued: Issued,
}

impl Admission {
    pub(crate) fn new(registrar: Arc<dyn Registrar>, policy: Policy, metrics: Metrics, clock: Clock) -> Self {
        Self { registrar, policy, metrics, clock, issued: Issued::default() }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers a review. Every review that has a uid is answered, and every answer admits.
    pub(crate) fn answer(&self, body: &[u8]) -> Result<Bytes, Rejection> {
        let started = Instant::now();
        let review = Review::parse(body)?;
        let span = debug_span!("admission", uid = review.uid);
        let (kind, outcome, answer) = span.in_scope(|| {
            // A bug here or in the registrar must not refuse a pod, not even under `failurePolicy: Fail`.
            catch_unwind(AssertUnwindSafe(|| self.judge(&review))).unwrap_or_else(|_| {
                error!("admission panicked, object admitted as it came");
                (Kind::Other, Outcome::Panicked, Answer::default())
            })
        });
        self.metrics.reviewed(kind, outcome, started.elapsed());
        // Strings and a Value whose keys are strings: there is nothing in an answer that JSON cannot hold.
        answer.encode(&review.uid).map_err(|_| Rejection::NotAReview { missing: "its answer cannot be written" })
    }

    fn judge(&self, review: &Review<'_>) -> (Kind, Outcome, Answer) {
        let request = review.request.as_ref();
        let judgement = request.map_or_else(Judgement::unreadable, |request| {
            Judgement::of(request, &review.uid, (self.clock)(), &self.policy, &self.issued)
        });
        log(request, &judgement);
        let Judgement { kind, outcome, registration, patch, not_tokens, .. } = judgement;
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

fn log(request: Option<&Request<'_>>, judgement: &Judgement) {
    let Judgement { kind, outcome, agents, not_tokens, .. } = judgement;
    let (namespace, name) = request.map_or(("", ""), |request| (request.namespace(), request.name()));
    let (kind, outcome) = (kind.as_str(), outcome.as_str());
    debug!(namespace, kind, name, agents, not_tokens, outcome, "review judged");
}
