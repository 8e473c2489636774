//! Endpoints for health and metrics.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{Metrics, Sources};
use crate::runtime::readiness::{Checked, Snapshot};

/// The endpoints of a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content {
    /// /livez and /readyz.
    Health,
    /// /metrics.
    Metrics,
    /// All of them.
    Both,
}

/// The router of a listener, with a short text about its endpoints at `/`.
pub fn router(content: Content, sources: Sources) -> Router {
    let mut router = Router::new();
    let mut about = String::from("coder-logstream-kube\n\n");
    if content != Content::Metrics {
        router = router.route("/livez", get(livez)).route("/readyz", get(readyz));
        about += "/livez    whether the process is alive, independent of Coder\n";
        about += "/readyz   whether it is ready; ?verbose lists the checks\n";
    }
    if content != Content::Health {
        router = router.route("/metrics", get(metrics));
        about += "/metrics  metrics in the OpenMetrics text format\n";
    }
    let not_found = about.clone();
    router
        .route("/", get(|| async { about }))
        .fallback(|| async { text(StatusCode::NOT_FOUND, not_found) })
        .with_state(sources)
}

async fn livez(State(sources): State<Sources>, RawQuery(query): RawQuery) -> Response {
    let supervisor = Checked { name: "supervisor".into(), state: sources.liveness.check().map_err(Into::into) };
    let tasks = sources
        .heartbeats
        .iter()
        .map(|heartbeat| Checked { name: heartbeat.task().into(), state: heartbeat.check_alive().map_err(Into::into) });
    answer("livez", &Snapshot { checks: [supervisor].into_iter().chain(tasks).collect() }, is_verbose(query))
}

async fn readyz(State(sources): State<Sources>, RawQuery(query): RawQuery) -> Response {
    answer("readyz", &sources.readiness.snapshot(), is_verbose(query))
}

async fn metrics(State(sources): State<Sources>) -> Response {
    match sources.metrics.encode() {
        Ok(body) => ([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], body).into_response(),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "cannot encode the metrics\n".to_owned()),
    }
}

/// `?verbose`, with or without a value, as in kube-apiserver.
fn is_verbose(query: Option<String>) -> bool {
    query.unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some("verbose"))
}

fn answer(endpoint: &str, snapshot: &Snapshot, verbose: bool) -> Response {
    let ready = snapshot.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = if verbose {
        listed(endpoint, snapshot)
    } else if ready {
        "ok\n".to_owned()
    } else if snapshot.checks.is_empty() {
        "failed: no checks yet\n".to_owned()
    } else {
        format!("failed: {}\n", snapshot.failing().collect::<Vec<_>>().join(", "))
    };
    text(status, body)
}

/// One line for each check, in the format of kube-apiserver.
fn listed(endpoint: &str, snapshot: &Snapshot) -> String {
    let lines = snapshot.checks.iter().map(|check| match &check.state {
        Ok(()) => format!("[+]{} ok\n", check.name),
        Err(reason) => format!("[-]{} failed: {}\n", check.name, reason.replace(['\n', '\r'], " ")),
    });
    let result = if snapshot.is_ready() { "passed" } else { "failed" };
    lines.chain([format!("{endpoint} check {result}\n")]).collect()
}

fn text(status: StatusCode, body: String) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], body).into_response()
}
