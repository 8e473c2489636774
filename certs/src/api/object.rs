//! One object of the Kubernetes API, by its name.

use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

/// Field manager of our writes.
const MANAGER: &str = "coder-logstream-kube";

/// An answer that takes longer is not waited for: whatever is done about certificates is done again soon.
const PATIENCE: Duration = Duration::from_secs(10);

/// The verb, as RBAC names it, of making an object.
const CREATE: &str = "create";

/// One object, there or not.
#[derive(Clone)]
pub(crate) struct Object {
    pub(super) client: Client,
    pub(super) collection: String,
    pub(super) name: String,
}

/// A request to the API server failed. All of these are temporary: retry later, or at once after a conflict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The object has changed since it was read, or is gone. Read it again.
    #[error("{object} was changed by another at the same time")]
    Conflict {
        /// The object.
        object: String,
    },
    /// This account may not.
    #[error("{object}: this program may not {verb} it: {message}")]
    Forbidden {
        /// The object.
        object: String,
        /// As RBAC names it.
        verb: &'static str,
        /// Answer of the API server.
        message: String,
    },
    /// It said no.
    #[error("{object}: {message}")]
    Refused {
        /// The object.
        object: String,
        /// Answer of the API server.
        message: String,
    },
    /// There was no answer that can be understood.
    #[error("{object}: the API server does not answer: {message}")]
    Unreachable {
        /// The object.
        object: String,
        /// Error of the decoder.
        message: String,
    },
}

impl Object {
    /// The object of this name in a collection.
    pub(crate) fn new(client: Client, collection: impl Into<String>, name: &str) -> Self {
        Self { client, collection: collection.into(), name: name.to_owned() }
    }

    /// The object as it is now; `None` when there is none.
    pub(crate) async fn get<T: DeserializeOwned>(&self) -> Result<Option<T>, ApiError> {
        let request = Request::get(self.path()).body(Vec::new());
        match self.ask(request, "get").await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == StatusCode::NOT_FOUND.as_u16() => Ok(None),
            Err(error) => Err(self.failed(error, "get")),
        }
    }

    /// A JSON patch. Its tests decide whether it takes effect.
    pub(crate) async fn patch_json(&self, patch: &Value) -> Result<(), ApiError> {
        self.patch(patch, "application/json-patch+json", "", "patch").await
    }

    /// A merge patch.
    pub(crate) async fn patch_merge(&self, patch: &Value) -> Result<(), ApiError> {
        self.patch(patch, "application/merge-patch+json", "", "patch").await
    }

    /// Creates the object, or only gives one that exists these labels and owners: a server-side apply of its metadata
    /// alone. A role can allow that for one name, which it cannot for a POST.
    pub(crate) async fn make(&self, kind: &str, owned: &ObjectMeta) -> Result<(), ApiError> {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..owned.clone() };
        let object = serde_json::json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata });
        self.patch(&object, "application/apply-patch+yaml", "&force=true", CREATE).await
    }

    async fn patch(&self, patch: &Value, kind: &str, more: &str, verb: &'static str) -> Result<(), ApiError> {
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(format!("{}?fieldManager={MANAGER}{more}", self.path()))
            .header(header::CONTENT_TYPE, kind)
            .body(patch.to_string().into_bytes());
        let answer: Result<serde::de::IgnoredAny, _> = self.ask(request, verb).await;
        answer.map(drop).map_err(|error| self.failed(error, verb))
    }

    async fn ask<T: DeserializeOwned>(&self, request: http::Result<Request<Vec<u8>>>, verb: &str) -> kube::Result<T> {
        let request = request.map_err(kube::Error::HttpError)?;
        match timeout(PATIENCE, self.client.request(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(kube::Error::Service(format!("{verb} took longer than {PATIENCE:?}").into())),
        }
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection, self.name)
    }

    pub(super) fn failed(&self, error: kube::Error, verb: &'static str) -> ApiError {
        let object = match self.collection.rsplit('/').next() {
            Some(resource) => format!("{resource}/{}", self.name),
            None => self.name.clone(),
        };
        let status = match error {
            kube::Error::Api(status) => status,
            // A decoder's words may quote what it read.
            kube::Error::SerdeError(_) => {
                return ApiError::Unreachable { object, message: "its answer cannot be read".to_owned() };
            }
            error => return ApiError::Unreachable { object, message: with_sources(&error) },
        };
        let message = status.message.clone();
        match StatusCode::from_u16(status.code) {
            // A test of a JSON patch that fails is answered with 422, and so is much else: reading again tells.
            Ok(StatusCode::CONFLICT) => ApiError::Conflict { object },
            // Gone since it was read. What is only being made is not found when its namespace is not.
            Ok(StatusCode::NOT_FOUND) if verb != CREATE => ApiError::Conflict { object },
            Ok(StatusCode::UNPROCESSABLE_ENTITY) if message.contains("the server rejected our request") => {
                ApiError::Conflict { object }
            }
            Ok(StatusCode::FORBIDDEN) => ApiError::Forbidden { object, verb, message },
            _ => ApiError::Refused { object, message },
        }
    }
}

/// An error with what lies below it: above stands only that a request failed.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        below = error.source();
    }
    text
}
