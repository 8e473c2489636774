//! Requests to the API server with a deadline, and what their failures mean for a check.
//!
//! Bodies are decoded here and not by kube, which logs a body that it cannot decode: that may hold a token.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use kube::{Client, client::Body, core::Status};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{access::Access, check::Problem};
use crate::{kubernetes, runtime::innermost};

/// Time limit of a request. The API server answers within milliseconds, or within seconds over a slow link with a large
/// list.
const DEADLINE: Duration = Duration::from_secs(15);
/// Number of objects in a page of a list.
const PAGE: usize = 500;
/// Maximum number of pages of a list.
const MAX_PAGES: usize = 40;
const LOG_IN: &str = "log in again, or restart the pod if its ServiceAccount was deleted and created again";
/// Maximum length of a repeated error message, in characters.
const MAX_MESSAGE: usize = 600;

/// The API server, as seen by the account that `doctor` runs with.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    /// `; ` and the flaw of the credentials, if one is known.
    flaw: String,
    user: std::sync::Arc<OnceCell<String>>,
}

/// A request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    /// The object does not exist.
    #[error("{0} does not exist")]
    NotFound(String),
    /// A permission is missing.
    #[error("no permission to {0}")]
    Forbidden(Access),
    /// The API server does not accept the credentials, with their flaw, if one is known.
    #[error("the API server does not accept these credentials (401){0}")]
    Unauthorized(String),
    /// The same, for an API server that allows anonymous requests.
    #[error("the API server takes doctor for an anonymous user, as it accepts none of the credentials{0}")]
    Anonymous(String),
    /// The API server refused the request.
    #[error("{message} ({code})")]
    Refused {
        /// The status code.
        code: u16,
        /// The API server's message.
        message: String,
    },
    /// No response, or one that cannot be read.
    #[error("{0}")]
    Unreachable(String),
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Forbidden(access) => {
                Self::skipped(format!("this account has no permission to {access}, so it is not verified"))
            }
            error @ (ApiError::Unauthorized(_) | ApiError::Anonymous(_)) => Self::unmet(error.to_string(), LOG_IN),
            error => Self::unmet(error.to_string(), "check that the API server is healthy, then run doctor again"),
        }
    }
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMetadata,
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    next: String,
}

impl Api {
    pub(super) fn new(client: Client) -> Self {
        Self { client, flaw: String::new(), user: std::sync::Arc::default() }
    }

    /// Like [`Api::new`], with credentials that cannot work for this reason, if there is one.
    pub(super) fn with_flaw(client: Client, flaw: Option<&str>) -> Self {
        Self { flaw: flaw.map(|flaw| format!("; {flaw}")).unwrap_or_default(), ..Self::new(client) }
    }

    /// Gets one object.
    pub(super) async fn get<T: DeserializeOwned>(&self, access: &Access) -> Result<T, ApiError> {
        decode(&self.send(Method::GET, &access.path(), access, None).await?)
    }

    /// Gets one object, if it exists.
    pub(super) async fn find<T: DeserializeOwned>(&self, access: &Access) -> Result<Option<T>, ApiError> {
        match self.get(access).await {
            Err(ApiError::NotFound(_)) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Lists all objects in pages. `query` holds parameters as `key=value&key=value`, already encoded. A list of more
    /// than 20,000 objects is cut.
    pub(super) async fn list<T: DeserializeOwned>(&self, access: &Access, query: &str) -> Result<Vec<T>, ApiError> {
        let mut items = Vec::new();
        let mut next = String::new();
        for _ in 0..MAX_PAGES {
            let parameters = encoded(&[("limit", &PAGE.to_string()), ("continue", &next)]);
            let path = format!("{}?{parameters}&{query}", access.path());
            let page: Page<T> = decode(&self.send(Method::GET, &path, access, None).await?)?;
            items.extend(page.items);
            next = page.metadata.next;
            if next.is_empty() {
                break;
            }
        }
        Ok(items)
    }

    /// Gets a path that is no resource, such as `/version`.
    pub(super) async fn get_path<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        decode(&self.send(Method::GET, path, &Access::new("get", "", path), None).await?)
    }

    /// Creates an object by a server-side dry run, and returns it as it would be stored.
    pub(super) async fn dry_run(&self, access: &Access, object: &Value) -> Result<Value, ApiError> {
        let path = format!("{}?dryRun=All", access.path());
        decode(&self.send(Method::POST, &path, access, Some(object)).await?)
    }

    /// Creates a review, which is not stored, and returns it with its status.
    pub(super) async fn review(&self, access: &Access, review: &Value) -> Result<Value, ApiError> {
        decode(&self.send(Method::POST, &access.path(), access, Some(review)).await?)
    }

    /// True if the account that `doctor` runs with has a permission.
    pub(super) async fn may(&self, access: &Access) -> Result<bool, ApiError> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": attributes(access) },
        });
        let create = Access::new("create", "authorization.k8s.io", "selfsubjectaccessreviews");
        Ok(is_allowed(&self.review(&create, &review).await?))
    }

    /// Name of the account that `doctor` runs with; empty if the API server does not return it.
    pub(super) async fn user(&self) -> &str {
        self.account().await.unwrap_or_default()
    }

    /// The same, or the error of the request for it. Requested once.
    pub(super) async fn account(&self) -> Result<&str, ApiError> {
        let ask = async || {
            let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
            let create = Access::new("create", "authentication.k8s.io", "selfsubjectreviews");
            let answer = self.review(&create, &review).await?;
            Ok(answer.pointer("/status/userInfo/username").and_then(Value::as_str).unwrap_or_default().to_owned())
        };
        self.user.get_or_try_init(ask).await.map(String::as_str)
    }

    async fn send(&self, method: Method, path: &str, access: &Access, body: Option<&Value>) -> Result<Bytes, ApiError> {
        let body = body.map(|value| value.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .map_err(|error| ApiError::Unreachable(error.to_string()))?;
        tokio::time::timeout(DEADLINE, self.exchange(request, access))
            .await
            .unwrap_or_else(|_| Err(ApiError::Unreachable(format!("no response within {} s", DEADLINE.as_secs()))))
    }

    async fn exchange(&self, request: Request<Body>, access: &Access) -> Result<Bytes, ApiError> {
        let response = self.client.send(request).await.map_err(|error| unreachable(&error))?;
        let (head, body) = response.into_parts();
        let body = body.collect_bytes().await.map_err(|error| unreachable(&error))?;
        let code = head.status.as_u16();
        if head.status.is_success() {
            return Ok(body);
        }
        let message = kubernetes::decode::<Status>(&body).map(|status| status.message).unwrap_or_default();
        Err(match code {
            401 => ApiError::Unauthorized(self.flaw.clone()),
            403 if message.contains("User \"system:anonymous\"") => ApiError::Anonymous(self.flaw.clone()),
            403 if is_missing_permission(&message) => ApiError::Forbidden(access.clone()),
            404 => ApiError::NotFound(
                access
                    .name
                    .clone()
                    .map_or_else(|| access.resource.clone(), |name| format!("{}/{name}", access.resource)),
            ),
            code if message.is_empty() => {
                ApiError::Refused { code, message: "the server answers without a message".to_owned() }
            }
            code => ApiError::Refused { code, message: message.chars().take(MAX_MESSAGE).collect() },
        })
    }
}

/// RBAC and admission both answer 403. Only the former names the user.
fn is_missing_permission(message: &str) -> bool {
    message.is_empty() || (message.contains(" cannot ") && message.contains("User \""))
}

/// The attributes of a review.
pub(super) fn attributes(access: &Access) -> Value {
    let (resource, subresource) = access.resource.split_once('/').unwrap_or((&access.resource, ""));
    json!({
        "verb": access.verb, "group": access.group, "resource": resource, "subresource": subresource,
        "namespace": access.namespace.as_deref().unwrap_or_default(),
        "name": access.name.as_deref().unwrap_or_default(),
    })
}

/// The result of an access review.
pub(super) fn is_allowed(review: &Value) -> bool {
    review.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or_default()
}

/// Parameters of a query.
pub(super) fn encoded(parameters: &[(&str, &str)]) -> String {
    let filled = parameters.iter().filter(|(_, value)| !value.is_empty());
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(filled).finish()
}

fn decode<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    kubernetes::decode(body).ok_or_else(|| ApiError::Unreachable("the response cannot be read".to_owned()))
}

fn unreachable(error: &kube::Error) -> ApiError {
    ApiError::Unreachable(innermost(error).chars().take(MAX_MESSAGE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::testing::{Answer, Script};

    fn api(script: Script) -> Api {
        Api::new(script.start().client())
    }

    const FORBIDDEN: &str = "pods is forbidden: User \"bob\" cannot list resource \"pods\" in API group \"\" at the \
                             cluster scope";

    #[tokio::test]
    async fn a_missing_permission_skips_a_check_and_is_named() {
        let api = api(Script::new().always("/pods", Answer::status(403, FORBIDDEN)));
        let error = api.list::<Value>(&Access::new("list", "", "pods").within("a"), "").await.unwrap_err();
        let Problem::Skipped(reason) = Problem::from(error) else { panic!("not skipped") };
        assert!(reason.contains("list pods in a"), "{reason}");
    }

    #[tokio::test]
    async fn a_refusal_by_admission_is_no_missing_permission() {
        let message = "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": privileged";
        let api = api(Script::new().always("/pods", Answer::status(403, message)));
        let error = api.dry_run(&Access::new("create", "", "pods").within("a"), &json!({})).await.unwrap_err();
        assert!(
            matches!(&error, ApiError::Refused { code: 403, message } if message.contains("PodSecurity")),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_list_is_read_page_by_page() {
        let script = Script::new()
            .on("/pods", Answer::page("more", &[json!(1), json!(2)]))
            .on("continue=more", Answer::list(1, &[json!(3)]));
        assert_eq!(api(script).list::<u8>(&Access::new("list", "", "pods"), "").await, Ok(vec![1, 2, 3]));
    }

    #[tokio::test]
    async fn a_body_that_cannot_be_read_is_not_repeated() {
        let script = Script::new().always("/pods", Answer::json(&json!({ "items": "hunter2" })));
        let error = api(script).list::<Value>(&Access::new("list", "", "pods"), "").await.unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
