//! The parts of AdmissionReview v1 that are used here.

use axum::body::Bytes;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use json_patch::Patch;
use logstream_core::{object::object, resource::Kind};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::rejection::Rejection;

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// Maximum length of a uid, which the answer repeats. The API server's uids are UUIDs.
const LONGEST_UID: usize = 253;

/// A review with a uid, which can be answered. The rest may be unreadable.
#[derive(Debug)]
pub(crate) struct Review<'a> {
    pub(crate) uid: String,
    /// `None` if it is not of the documented form.
    pub(crate) request: Option<Request<'a>>,
}

/// The request of a review.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Request<'a> {
    uid: String,
    kind: GroupVersionKind,
    sub_resource: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
    operation: Option<String>,
    dry_run: Option<bool>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GroupVersionKind {
    group: String,
    version: String,
    kind: String,
}

impl<'a> Review<'a> {
    /// Parses a review. Errors name a place in the body and never its content, which may be a token.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Rejection> {
        Self::whole(body).map_or_else(|| Self::in_parts(body), Ok)
    }

    /// Parses a review as the API server writes it; `None` for anything else.
    fn whole(body: &'a [u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Whole<'a> {
            api_version: &'a str,
            kind: &'a str,
            #[serde(borrow, deserialize_with = "object")]
            request: Request<'a>,
        }
        let mut json = serde_json::Deserializer::from_slice(body);
        let Whole { api_version, kind, mut request } = object(&mut json).ok()?;
        json.end().ok()?;
        let uid = std::mem::take(&mut request.uid);
        let is_whole = kind == KIND && api_version == API_VERSION && is_uid(&uid);
        is_whole.then_some(Self { uid, request: Some(request) })
    }

    /// Parses the uid of a review, and the other parts that are readable.
    fn in_parts(body: &'a [u8]) -> Result<Self, Rejection> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Envelope<'a> {
            api_version: Option<String>,
            kind: Option<String>,
            #[serde(borrow)]
            request: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Uid {
            uid: String,
        }
        let missing = |missing| Rejection::NotAReview { missing };
        let json: &RawValue = serde_json::from_slice(body)
            .map_err(|error| Rejection::NotJson { line: error.line(), column: error.column() })?;
        if !is_object(json) {
            return Err(missing("it is not an object"));
        }
        let envelope: Envelope<'_> = serde_json::from_str(json.get())
            .map_err(|_| missing("apiVersion, kind and request must each be there once, the first two as strings"))?;
        if envelope.kind.as_deref() != Some(KIND) {
            return Err(missing("its kind is not AdmissionReview"));
        }
        if envelope.api_version.as_deref() != Some(API_VERSION) {
            return Err(Rejection::Version);
        }
        let request = envelope.request.filter(|request| is_object(request)).ok_or(missing("it has no request"))?;
        let Uid { uid } = serde_json::from_str(request.get())
            .map_err(|_| missing("request.uid must be a string and be there once"))?;
        if !is_uid(&uid) {
            return Err(missing("request.uid must be 1 to 253 bytes long"));
        }
        Ok(Self { uid, request: serde_json::from_str(request.get()).ok() })
    }
}

fn is_uid(uid: &str) -> bool {
    (1..=LONGEST_UID).contains(&uid.len())
}

impl<'a> Request<'a> {
    /// The kind of the object as matched by the webhook's rule, if its agents are recorded.
    pub(crate) fn kind(&self) -> Option<Kind> {
        let GroupVersionKind { group, version, kind } = &self.kind;
        let kind = Kind::parse(kind)?;
        (kind.is_admitted() && group == kind.group() && version == "v1").then_some(kind)
    }

    /// True for the creation of an object, as opposed to a subresource.
    pub(crate) fn is_creation(&self) -> bool {
        self.operation.as_deref() == Some("CREATE") && self.sub_resource.as_deref().is_none_or(str::is_empty)
    }

    /// True for a dry run, which must have no side effects.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.dry_run.unwrap_or_default()
    }

    /// The namespace; empty for cluster-scoped objects.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    /// The object's name; empty if the API server will generate it.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The object, if it is a JSON object.
    pub(crate) fn object(&self) -> Option<&'a RawValue> {
        self.object.filter(|object| is_object(object))
    }
}

/// True for a JSON object. serde also decodes a struct from an array, to which the patch would not apply.
fn is_object(json: &RawValue) -> bool {
    json.get().starts_with('{')
}

/// The answer to a review. It always admits.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The patch.
    pub(crate) patch: Option<Patch>,
    /// A warning for the user.
    pub(crate) warning: Option<&'static str>,
}

impl Answer {
    /// Encodes the AdmissionReview of the answer.
    pub(crate) fn encode(self, uid: &str) -> serde_json::Result<Bytes> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Review<'a> {
            api_version: &'static str,
            kind: &'static str,
            response: Response<'a>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Response<'a> {
            uid: &'a str,
            allowed: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            patch_type: Option<&'static str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            patch: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            warnings: Option<[&'static str; 1]>,
        }
        let patch = self.patch.map(|patch| serde_json::to_vec(&patch)).transpose()?;
        let response = Response {
            uid,
            allowed: true,
            patch_type: patch.is_some().then_some("JSONPatch"),
            patch: patch.map(|patch| STANDARD.encode(patch)),
            warnings: self.warning.map(|warning| [warning]),
        };
        serde_json::to_vec(&Review { api_version: API_VERSION, kind: KIND, response }).map(Bytes::from)
    }
}
