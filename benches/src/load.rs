//! The load driver: writes objects and records the times of the API server's answers.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::Value;

/// Concurrent requests of a bulk: enough to keep the API server busy.
const AT_ONCE: usize = 48;

/// Writes objects with minimal work per request: the body is prepared, and the answer is not decoded.
#[derive(Clone)]
pub(crate) struct Driver(Client);

/// A written object.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    /// Time at which it was sent.
    pub(crate) sent: Instant,
    /// Arrival time of the head of the API server's answer.
    pub(crate) answered: Instant,
    pub(crate) body: Bytes,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    uid: String,
}

impl Posted {
    pub(crate) fn uid(&self) -> Result<String> {
        Ok(serde_json::from_slice::<Object>(&self.body)?.metadata.uid)
    }
}

impl Driver {
    pub(crate) fn new(client: Client) -> Self {
        Self(client)
    }

    pub(crate) async fn post(&self, path: &str, object: &Value) -> Result<Posted> {
        self.request(Method::POST, path, object.to_string().into_bytes()).await
    }

    /// Deletes an object that may be gone already.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        match self.request(Method::DELETE, path, Vec::new()).await {
            Err(error) if !error.to_string().contains(": 404") => Err(error),
            _ => Ok(()),
        }
    }

    async fn request(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Posted> {
        let request = Request::builder().method(&method).uri(path).header(CONTENT_TYPE, "application/json");
        let sent = Instant::now();
        let response = self.0.send(request.body(Body::from(body))?).await?;
        let answered = Instant::now();
        let (head, body) = response.into_parts();
        let body = body.collect().await.context("the answer")?.to_bytes();
        if !head.status.is_success() {
            bail!("{method} {path}: {}: {}", head.status.as_u16(), String::from_utf8_lossy(&body));
        }
        Ok(Posted { sent, answered, body })
    }

    /// Writes many objects, in no particular order.
    pub(crate) async fn bulk(&self, objects: impl Iterator<Item = (String, Value)>) -> Result<Vec<Posted>> {
        let write = |(path, object): (String, Value)| async move { self.post(&path, &object).await };
        futures::stream::iter(objects).map(write).buffered(AT_ONCE).try_collect().await
    }
}
