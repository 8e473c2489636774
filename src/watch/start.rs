//! Current position of a scope's history at the API server.

use jiff::Timestamp;
use kube::{Client, api::ListParams, core::Request};
use serde::Deserialize;

use super::{ask::ask, failure::Failure, partial, scope::Scope};

/// The current state of a scope's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Current {
    /// The current resourceVersion.
    pub(super) revision: u64,
    /// The API server's clock, in whole seconds.
    pub(super) date: Option<Timestamp>,
}

/// Requests it by the shortest possible consistent list.
pub(super) async fn current(client: &Client, scope: &Scope) -> Result<Current, Failure> {
    #[derive(Deserialize)]
    struct List {
        metadata: ListMeta,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ListMeta {
        resource_version: String,
    }

    let path = partial::path(scope.resource, scope.namespace.as_deref());
    let answer = ask(client, Request::new(path).list_metadata(&ListParams::default().limit(1))).await?;
    let list: List = answer.decode()?;
    let revision = list.metadata.resource_version.parse().map_err(|_| Failure::undecodable())?;
    Ok(Current { revision, date: answer.date })
}
