//! Requests about one object of the Kubernetes API.

use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use logstream_runtime::with_sources;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

/// Field manager of writes.
const MANAGER: &str = "coder-logstream-kube";

/// Time limit of a request. Each step is repeated soon.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The RBAC verb for creating an object.
const CREATE: &str = "create";

/// One object, which may not exist.
#[derive(Clone)]
pub(crate) struct Object {
    pub(super) client: Client,
    pub(super) collection: String,
    pub(super) name: String,
}

/// A request to the API server failed. All of these are temporary: retry later, or at once after a conflict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The object was changed or deleted since it was read. Read it again.
    #[error("{object} was changed by another client")]
    Conflict {
        /// The object.
        object: String,
    },
    /// A permission is missing.
    #[error("{object}: no permission to {verb} it: {message}")]
    Forbidden {
        /// The object.
        object: String,
        /// The RBAC verb.
        verb: &'static str,
        /// Answer of the API server.
        message: String,
    },
    /// The API server refused the request.
    #[error("{object}: {message}")]
    Refused {
        /// The object.
        object: String,
        /// Answer of the API server.
        message: String,
    },
    /// There was no answer, or an unreadable one.
    #[error("{object}: no answer of the API server: {message}")]
    Unreachable {
        /// The object.
        object: String,
        /// The error.
        message: String,
    },
}

impl Object {
    /// Creates a reference to the object of this name in a collection.
    pub(crate) fn new(client: Client, collection: impl Into<String>, name: &str) -> Self {
        Self { client, collection: collection.into(), name: name.to_owned() }
    }

    /// Reads the object; `None` if it does not exist.
    pub(crate) async fn get<T: DeserializeOwned>(&self) -> Result<Option<T>, ApiError> {
        let request = Request::get(self.path()).body(Vec::new());
        match self.ask(request, "get").await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == StatusCode::NOT_FOUND.as_u16() => Ok(None),
            Err(error) => Err(self.failed(error, "get")),
        }
    }

    /// Applies a JSON patch. Its `test` operations decide whether it takes effect.
    pub(crate) async fn patch_json(&self, patch: &Value) -> Result<(), ApiError> {
        self.patch(patch, "application/json-patch+json", "", "patch").await
    }

    /// Applies a merge patch.
    pub(crate) async fn patch_merge(&self, patch: &Value) -> Result<(), ApiError> {
        self.patch(patch, "application/merge-patch+json", "", "patch").await
    }

    /// Creates the object, or sets labels and owners of an existing one, by a server-side apply of its metadata only.
    /// RBAC can restrict an apply to one name, but not a POST.
    pub(crate) async fn apply_metadata(&self, kind: &str, owned: &ObjectMeta) -> Result<(), ApiError> {
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
        match timeout(REQUEST_TIMEOUT, self.client.request(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(kube::Error::Service(format!("{verb} took longer than {REQUEST_TIMEOUT:?}").into())),
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
            // A decoder's error may quote its input.
            kube::Error::SerdeError(_) => {
                return ApiError::Unreachable { object, message: "it cannot be decoded".to_owned() };
            }
            error => return ApiError::Unreachable { object, message: with_sources(&error) },
        };
        let message = status.message.clone();
        match StatusCode::from_u16(status.code) {
            Ok(StatusCode::CONFLICT) => ApiError::Conflict { object },
            // Deleted since it was read. When it is created, 404 means that the namespace does not exist.
            Ok(StatusCode::NOT_FOUND) if verb != CREATE => ApiError::Conflict { object },
            // A failed `test` of a JSON patch is answered with 422, as are other errors.
            Ok(StatusCode::UNPROCESSABLE_ENTITY) if message.contains("the server rejected our request") => {
                ApiError::Conflict { object }
            }
            Ok(StatusCode::FORBIDDEN) => ApiError::Forbidden { object, verb, message },
            _ => ApiError::Refused { object, message },
        }
    }
}
