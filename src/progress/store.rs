//! Progress at rest: a ConfigMap in the program's own namespace.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use tokio_util::sync::CancellationToken;

use super::{Progress, Saved};
use crate::runtime::Clock;

/// The key in the ConfigMap.
const KEY: &str = "progress.json";

/// While lines are told and delivered, progress is saved this often: a process killed outright says again at most
/// what it delivered in this time.
const PAUSE: Duration = Duration::from_secs(1);

/// Where other objects' facts pass by and none are told, this often.
const IDLE_PAUSE: Duration = Duration::from_mins(1);

/// One ConfigMap.
pub struct Store {
    api: Api<ConfigMap>,
    name: String,
    owned: ObjectMeta,
}

/// Why progress could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The API server refused or did not answer.
    #[error("the ConfigMap {name} for progress: {source}")]
    Api {
        /// The ConfigMap's name.
        name: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// What stands there was not written by this program, or by a newer one.
    #[error("the ConfigMap {name} holds no progress that can be read: {source}")]
    Malformed {
        /// The ConfigMap's name.
        name: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl StoreError {
    /// Whether the program may not read or write it, which trying again does not change.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Api { source, .. } if matches!(&**source, kube::Error::Api(status) if status.code == 403))
    }
}

impl Store {
    /// The ConfigMap of this name; `owned` has the labels and the owner that each save gives it.
    pub fn new(client: Client, namespace: &str, name: &str, owned: ObjectMeta) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), owned }
    }

    /// What an earlier process left; `None` at the first start.
    pub async fn load(&self) -> Result<Option<Saved>, StoreError> {
        let map = self.api.get_opt(&self.name).await.map_err(|source| self.failed(source))?;
        let Some(text) = map.and_then(|map| map.data?.remove(KEY)) else { return Ok(None) };
        let malformed = |source| StoreError::Malformed { name: self.name.clone(), source };
        serde_json::from_str(&text).map(Some).map_err(malformed)
    }

    /// Writes it, whatever stood there.
    pub async fn save(&self, saved: &Saved) -> Result<(), StoreError> {
        let malformed = |source| StoreError::Malformed { name: self.name.clone(), source };
        let text = serde_json::to_string(saved).map_err(malformed)?;
        let map = ConfigMap {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..self.owned.clone() },
            data: Some(BTreeMap::from([(KEY.to_owned(), text)])),
            ..ConfigMap::default()
        };
        let parameters = PatchParams::apply("coder-logstream-kube").force();
        let patched = self.api.patch(&self.name, &parameters, &Patch::Apply(&map)).await;
        patched.map(drop).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: kube::Error) -> StoreError {
        StoreError::Api { name: self.name.clone(), source: Box::new(source) }
    }
}

/// Saves progress while it changes, and once more at the end. A failure is said once and tried again.
pub async fn keep(store: Store, progress: Arc<Progress>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    let mut last = Saved::default();
    let mut failing = false;
    let mut ending = false;
    while !ending {
        tokio::select! {
            () = progress.changed() => {}
            () = tokio::time::sleep(IDLE_PAUSE) => {}
            () = shutdown.cancelled() => ending = true,
        }
        let saved = progress.snapshot(clock.now());
        // That time passes is no progress.
        if (Saved { saved_at: last.saved_at, told_until: last.told_until, ..saved.clone() }) == last {
            continue;
        }
        match store.save(&saved).await {
            Ok(()) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("progress is saved again");
                }
                last = saved;
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "progress cannot be saved, a restart may repeat lines");
                }
            }
        }
        if !ending {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }
}
