//! An API server that holds one Lease in memory.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Latency of every answer.
const LATENCY: Duration = Duration::from_millis(10);

/// The server. Clones share it.
#[derive(Clone)]
pub(super) struct Api {
    lease: Arc<watch::Sender<Option<Value>>>,
    away: Arc<Mutex<bool>>,
}

impl Api {
    pub(super) fn new() -> Self {
        Self { lease: Arc::new(watch::Sender::new(None)), away: Arc::default() }
    }

    /// Makes requests fail, or succeed again.
    pub(super) fn set_away(&self, away: bool) {
        *self.away.lock().unwrap() = away;
    }

    pub(super) fn holder(&self) -> Option<String> {
        Some(self.lease.borrow().as_ref()?["spec"]["holderIdentity"].as_str()?.to_owned())
    }

    pub(super) fn field(&self, name: &str) -> Value {
        self.lease.borrow().as_ref().map_or(Value::Null, |lease| lease["spec"][name].clone())
    }

    pub(super) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                tokio::time::sleep(LATENCY).await;
                if *api.away.lock().unwrap() {
                    return Err(std::io::Error::other("the API server is away"));
                }
                Ok(api.answer(request).await)
            }
        });
        Client::new(service, "ns")
    }

    async fn answer(&self, request: Request<Body>) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let method = request.method().clone();
        if query.contains("watch=true") {
            return self.changes(&query);
        }
        if method == Method::GET {
            let lease = self.lease.borrow().clone();
            return lease.map_or_else(|| status(404), |lease| whole(200, &lease));
        }
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let patch: Value = serde_json::from_slice(&body).unwrap();
        if query.contains("fieldManager=coder-logstream-kube-create") {
            self.lease.send_if_modified(|lease| {
                let created = lease.is_none();
                lease.get_or_insert_with(
                    || json!({ "metadata": { "name": "lease", "uid": "u", "resourceVersion": "1" }, "spec": {} }),
                );
                created
            });
            return whole(200, self.lease.borrow().as_ref().unwrap());
        }
        let mut conflict = true;
        self.lease.send_if_modified(|lease| {
            let Some(lease) = lease else { return false };
            conflict = lease["metadata"]["resourceVersion"] != patch["metadata"]["resourceVersion"];
            if !conflict {
                json_patch::merge(&mut lease["spec"], &patch["spec"]);
                let version: u64 = lease["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
                lease["metadata"]["resourceVersion"] = json!((version + 1).to_string());
            }
            !conflict
        });
        if conflict { status(409) } else { whole(200, self.lease.borrow().as_ref().unwrap()) }
    }

    fn changes(&self, query: &str) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        let from = query.split('&').find_map(|part| part.strip_prefix("resourceVersion=")).unwrap();
        let from: u64 = from.parse().unwrap();
        let mut lease = self.lease.subscribe();
        lease.mark_changed();
        let lines = stream::unfold(lease, move |mut lease| async move {
            loop {
                lease.changed().await.ok()?;
                let Some(object) = lease.borrow_and_update().clone() else { continue };
                let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
                if version > from {
                    let line = format!("{}\n", json!({ "type": "MODIFIED", "object": object }));
                    return Some((Ok(Frame::data(Bytes::from(line))), lease));
                }
            }
        });
        Response::new(StreamBody::new(lines.boxed()).boxed_unsync())
    }
}

fn whole(code: u16, body: &Value) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let body = http_body_util::Full::new(Bytes::from(body.to_string()));
    Response::builder().status(code).body(body.boxed_unsync()).unwrap()
}

fn status(code: u16) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let reason = if code == 404 { "NotFound" } else { "Conflict" };
    whole(code, &json!({ "kind": "Status", "status": "Failure", "message": "no", "reason": reason, "code": code }))
}
