//! The ConfigMap that holds the checkpoints, in the program's own namespace.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use tokio::time::timeout;

use super::Saved;

/// Key of the checkpoint in the ConfigMap.
pub const KEY: &str = "checkpoint.json";

/// Time limit of a request. The API server reads and writes a ConfigMap within milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);

/// One ConfigMap.
pub struct Store {
    api: Api<ConfigMap>,
    name: String,
    owned: ObjectMeta,
}

/// The resourceVersion of the ConfigMap that was read or written last; `None` when there was none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version(Option<String>);

/// Checkpoints could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The API server refused.
    #[error("ConfigMap {name}: {source}")]
    Api {
        /// The ConfigMap's name.
        name: String,
        /// The answer of the API server.
        source: Box<kube::Error>,
    },
    /// The API server did not answer.
    #[error("ConfigMap {name}: no answer within {} s", DEADLINE.as_secs())]
    Late {
        /// The ConfigMap's name.
        name: String,
    },
    /// The content was not written by this program, or by a newer one.
    #[error("ConfigMap {name} does not hold a readable checkpoint: {source}")]
    Malformed {
        /// The ConfigMap's name.
        name: String,
        /// The error of the parser.
        source: serde_json::Error,
    },
}

impl StoreError {
    /// True if a permission is missing. An API server that has just started answers this for a second or two.
    pub fn is_forbidden(&self) -> bool {
        self.code() == Some(403)
    }

    /// True if another process has written or removed the ConfigMap since it was read.
    pub fn is_conflict(&self) -> bool {
        matches!(self.code(), Some(404 | 409))
    }

    fn code(&self) -> Option<u16> {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Late { .. } | Self::Malformed { .. } => None,
        }
    }
}

impl Store {
    /// A store in the ConfigMap of this name. Each save sets the labels and the owner of `owned`.
    pub fn new(client: Client, namespace: &str, name: &str, owned: ObjectMeta) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), owned }
    }

    /// Reads the checkpoints of an earlier process; `None` at the first start.
    pub async fn load(&self) -> Result<Option<Saved>, StoreError> {
        let Some(mut map) = self.get().await? else { return Ok(None) };
        self.decode(&mut map).transpose()
    }

    /// Reads generation and writer of the last save, and the version. Malformed content has neither.
    pub async fn look(&self) -> Result<(Option<(u64, u64)>, Version), StoreError> {
        let Some(mut map) = self.get().await? else { return Ok((None, Version::default())) };
        let version = Version(map.metadata.resource_version.take());
        let saved = self.decode(&mut map).and_then(Result::ok);
        Ok((saved.map(|saved| (saved.generation, saved.writer)), version))
    }

    /// Writes, if the ConfigMap still has this version.
    pub async fn save(&self, saved: &Saved, version: &Version) -> Result<Version, StoreError> {
        let text = serde_json::to_string(saved).map_err(|source| self.malformed(source))?;
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: version.0.clone(),
                ..self.owned.clone()
            },
            data: Some(BTreeMap::from([(KEY.to_owned(), text)])),
            ..ConfigMap::default()
        };
        let parameters = PatchParams::apply("coder-logstream-kube").force();
        let patch = Patch::Apply(&map);
        let written = self.in_time(self.api.patch(&self.name, &parameters, &patch)).await?;
        Ok(Version(written.metadata.resource_version))
    }

    async fn get(&self) -> Result<Option<ConfigMap>, StoreError> {
        self.in_time(self.api.get_opt(&self.name)).await
    }

    fn decode(&self, map: &mut ConfigMap) -> Option<Result<Saved, StoreError>> {
        let text = map.data.as_mut()?.remove(KEY)?;
        Some(serde_json::from_str(&text).map_err(|source| self.malformed(source)))
    }

    async fn in_time<T>(&self, answer: impl Future<Output = kube::Result<T>>) -> Result<T, StoreError> {
        match timeout(DEADLINE, answer).await {
            Ok(answer) => {
                answer.map_err(|source| StoreError::Api { name: self.name.clone(), source: Box::new(source) })
            }
            Err(_) => Err(StoreError::Late { name: self.name.clone() }),
        }
    }

    fn malformed(&self, source: serde_json::Error) -> StoreError {
        StoreError::Malformed { name: self.name.clone(), source }
    }
}
