//! A user's requests, from the API server's audit log.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::Cluster;

/// For [`crate::ClusterOptions::audit_policy`]: metadata of the requests of `ServiceAccounts`.
pub const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: [system:serviceaccounts]
  - level: None
";

/// A request for a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// The RBAC verb. A server-side apply that creates its object is a `patch` with code 201.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource, with its subresource after a slash.
    pub resource: String,
    /// The namespace; empty for cluster-wide requests.
    pub namespace: String,
    /// The object's name; for a list or watch, the name it is limited to.
    pub name: String,
    /// The HTTP status of the response.
    pub code: u16,
}

/// All requests of a user so far. The API server logs a request before it responds.
pub fn requests_of(cluster: &Cluster, user: &str) -> Result<Vec<Request>> {
    let log = cluster.directory().join("audit.log");
    let text = fs::read_to_string(&log).with_context(|| format!("{}", log.display()))?;
    // The last line may be incomplete.
    let lines = text.rfind('\n').map_or("", |end| &text[..end]).lines();
    let entries = lines.map(|line| serde_json::from_str(line).context("an entry of the audit log"));
    let entries: Vec<Entry> = entries.collect::<Result<_>>()?;
    Ok(entries.into_iter().filter(|entry| entry.user.username == user).filter_map(Entry::request).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    verb: String,
    user: User,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    api_group: String,
}

#[derive(Deserialize, Default)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

impl Entry {
    /// The request; `None` if it is not for a resource, such as `/version`.
    fn request(self) -> Option<Request> {
        let object = self.object_ref?;
        let resource = match &*object.subresource {
            "" => object.resource,
            subresource => format!("{}/{subresource}", object.resource),
        };
        Some(Request {
            verb: self.verb,
            group: object.api_group,
            resource,
            namespace: object.namespace,
            name: object.name,
            code: self.response_status.unwrap_or_default().code,
        })
    }
}
