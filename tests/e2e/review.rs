//! Reviews posted directly to the webhook's port.

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use logstream_testing::Installation;
use reqwest::{Certificate, Client, RequestBuilder, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::support::token;

/// Posts to the webhook of an installation.
pub(crate) struct Poster {
    http: Client,
    url: String,
}

/// The webhook's response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Poster {
    pub(crate) fn new(installation: &Installation) -> Result<Self> {
        let ca = Certificate::from_pem(installation.ca_pem()?.as_bytes())?;
        let http = Client::builder().no_proxy().tls_certs_only([ca]).build()?;
        Ok(Self { http, url: installation.webhook_url() })
    }

    /// A POST request without a body.
    pub(crate) fn request(&self) -> RequestBuilder {
        self.http.post(&self.url).header(CONTENT_TYPE, "application/json")
    }

    /// A GET of the same URL.
    pub(crate) fn get(&self) -> RequestBuilder {
        self.http.get(&self.url)
    }

    pub(crate) async fn post(&self, review: &Value) -> Result<Answer> {
        Self::send(self.request().body(review.to_string())).await
    }

    /// Posts any text.
    pub(crate) async fn post_text(&self, body: &str) -> Result<Answer> {
        Self::send(self.request().body(body.to_owned())).await
    }

    pub(crate) async fn send(request: RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        Ok(Answer { status: response.status().as_u16(), body: response.text().await? })
    }
}

impl Answer {
    fn response(&self) -> Option<Value> {
        serde_json::from_str::<Value>(&self.body).ok().map(|review| review["response"].clone())
    }

    /// Returns true if the object is admitted.
    pub(crate) fn admits(&self) -> bool {
        self.status == 200 && self.response().is_some_and(|response| response["allowed"] == true)
    }

    /// The patch, if there is one.
    pub(crate) fn patch(&self) -> Result<Option<Value>> {
        let Some(Value::String(encoded)) = self.response().map(|response| response["patch"].clone()) else {
            return Ok(None);
        };
        Ok(Some(serde_json::from_slice(&STANDARD.decode(encoded)?)?))
    }
}

/// The review that the API server sends for an object that is being created.
pub(crate) fn creation(object: &Value) -> Value {
    let (group, version) = match object["apiVersion"].as_str().unwrap_or_default() {
        "v1" => ("", "v1"),
        other => other.split_once('/').unwrap_or(("", other)),
    };
    let kind = object["kind"].as_str().unwrap_or_default();
    let kind = json!({ "group": group, "version": version, "kind": kind });
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": token(),
            "kind": kind,
            "requestKind": kind,
            "name": object["metadata"]["name"],
            "namespace": object["metadata"]["namespace"],
            "operation": "CREATE",
            "userInfo": { "username": "system:serviceaccount:kube-system:replicaset-controller" },
            "object": object,
            "oldObject": null,
            "dryRun": false,
        },
    })
}
