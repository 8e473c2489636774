//! What somebody asked of the API server, from its audit log.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::Cluster;

/// For [`crate::ClusterOptions::audit_policy`]: what `ServiceAccounts` ask for, without what is in it.
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
    /// As RBAC names it. Making an object by a server-side apply is a `patch` that is answered with 201.
    pub verb: String,
    /// The API group, empty for the core.
    pub group: String,
    /// The resource, with its subresource behind a slash.
    pub resource: String,
    /// Empty for a cluster-wide one.
    pub namespace: String,
    /// The object's name; of a list or a watch, the name that it is limited to.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
}

/// All that a user has asked so far. The API server writes a request down before it answers it.
pub fn requests_of(cluster: &Cluster, user: &str) -> Result<Vec<Request>> {
    let log = cluster.directory().join("audit.log");
    let text = fs::read_to_string(&log).with_context(|| format!("{}", log.display()))?;
    // The last line may still be being written.
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
    /// None for what is no resource, such as `/version`.
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
