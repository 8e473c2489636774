//! The Lease in the cluster.

use std::time::Duration;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use k8s_openapi::{api::coordination::v1 as coordination, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, WatchEvent, WatchParams},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::lease::Lease;

/// Field manager of the holder's fields.
const MANAGER: &str = "coder-logstream-kube";
/// Field manager of an empty Lease. It differs from [`MANAGER`], so that creating the Lease twice removes no holder.
const CREATOR: &str = "coder-logstream-kube-create";
/// The API server ends a watch after this number of seconds.
const WATCH_SECONDS: u32 = 240;

/// One Lease.
pub struct Store {
    api: Api<coordination::Lease>,
    name: String,
    owned: ObjectMeta,
    deadline: Duration,
}

/// The Lease could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// Another replica has written it since it was read, or it was deleted.
    #[error("Lease {name} was changed by another replica")]
    Conflict { name: String },
    /// The API server refused, or could not be reached.
    #[error("Lease {name}: {source}")]
    Api { name: String, source: Box<kube::Error> },
    /// The API server did not answer in time.
    #[error("Lease {name}: no answer within {} s", deadline.as_secs_f64())]
    Late { name: String, deadline: Duration },
    /// The answer cannot be used.
    #[error("Lease {name} has no resourceVersion that can be compared")]
    NoVersion { name: String },
}

/// Content to write into the Lease.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) holder: &'a str,
    pub(super) duration: Duration,
    pub(super) is_transition: bool,
    /// This machine's time of day, for operators.
    pub(super) now: Timestamp,
}

impl Store {
    /// The Lease of this name. It gets the labels and the owner of `owned` when it is created. `deadline` limits
    /// each request.
    pub fn new(client: Client, namespace: &str, name: &str, owned: ObjectMeta, deadline: Duration) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), owned, deadline }
    }

    /// Reads it; `None` if there is none.
    pub(super) async fn get(&self) -> Result<Option<Lease>, StoreError> {
        match self.in_time(self.api.get_opt(&self.name)).await? {
            Some(object) => self.decode(object).map(Some),
            None => Ok(None),
        }
    }

    /// Creates it without a holder. If it exists, only its labels and owners change. This is a server-side apply
    /// because a Role can allow that for one name, which it cannot for a POST.
    pub(super) async fn create(&self) -> Result<Lease, StoreError> {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": ObjectMeta { name: Some(self.name.clone()), ..self.owned.clone() },
        });
        let parameters = PatchParams::apply(CREATOR).force();
        self.patch(&parameters, &Patch::Apply(&lease)).await
    }

    /// Writes a holder into this version.
    pub(super) async fn take(&self, from: &Lease, claim: Claim<'_>) -> Result<Lease, StoreError> {
        let now = micro_time(claim.now);
        let mut metadata = json!({});
        let mut spec = json!({
            "holderIdentity": claim.holder,
            "leaseDurationSeconds": claim.duration.as_secs().max(1),
            "renewTime": now,
        });
        if claim.is_transition {
            spec["acquireTime"] = json!(now);
            spec["leaseTransitions"] = json!(from.transitions.saturating_add(1));
            // A Lease that lost its owner is adopted.
            metadata = json!(self.owned);
        }
        self.merge(from, metadata, &spec).await
    }

    /// Removes the holder from this version.
    pub(super) async fn release(&self, from: &Lease, now: Timestamp) -> Result<Lease, StoreError> {
        self.merge(from, json!({}), &json!({ "holderIdentity": null, "renewTime": micro_time(now) })).await
    }

    /// Changes of the Lease that are newer than this version. Ends when the API server ends the watch.
    pub(super) async fn watch(
        &self,
        from: &Lease,
    ) -> Result<impl Stream<Item = Result<Option<Lease>, StoreError>> + Send + use<>, StoreError> {
        let selector = format!("metadata.name={}", self.name);
        let parameters = WatchParams::default().fields(&selector).timeout(WATCH_SECONDS);
        let version = from.version.to_string();
        let events = self.in_time(self.api.watch(&parameters, &version)).await?;
        let name = self.name.clone();
        let failed = move |source| StoreError::Api { name: name.clone(), source: Box::new(source) };
        let events = events.map_err(failed.clone()).try_filter_map(move |event| {
            let change = match event {
                WatchEvent::Added(lease) | WatchEvent::Modified(lease) => Ok(Lease::of(lease).map(Some)),
                WatchEvent::Deleted(_) => Ok(Some(None)),
                WatchEvent::Bookmark(_) => Ok(None),
                WatchEvent::Error(status) => Err(failed(kube::Error::Api(status))),
            };
            std::future::ready(change)
        });
        Ok(events.boxed())
    }

    /// A merge patch that takes effect only on this version.
    async fn merge(&self, from: &Lease, mut metadata: Value, spec: &Value) -> Result<Lease, StoreError> {
        metadata["uid"] = json!(from.uid);
        metadata["resourceVersion"] = json!(from.version.to_string());
        let patch = json!({ "metadata": metadata, "spec": spec });
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.patch(&parameters, &Patch::Merge(&patch)).await
    }

    async fn patch(&self, parameters: &PatchParams, patch: &Patch<&Value>) -> Result<Lease, StoreError> {
        let written = self.in_time(self.api.patch(&self.name, parameters, patch)).await?;
        self.decode(written)
    }

    fn decode(&self, object: coordination::Lease) -> Result<Lease, StoreError> {
        Lease::of(object).ok_or_else(|| StoreError::NoVersion { name: self.name.clone() })
    }

    async fn in_time<T>(&self, answer: impl Future<Output = kube::Result<T>>) -> Result<T, StoreError> {
        let name = || self.name.clone();
        match timeout(self.deadline, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => {
                Err(StoreError::Conflict { name: name() })
            }
            Ok(Err(source)) => Err(StoreError::Api { name: name(), source: Box::new(source) }),
            Err(_) => Err(StoreError::Late { name: name(), deadline: self.deadline }),
        }
    }
}

/// The notation of Kubernetes' `MicroTime`.
fn micro_time(time: Timestamp) -> String {
    format!("{time:.6}")
}
