//! A container's volume mounts as local directories.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Container, KeyToPath, PodSpec, Secret, Volume};
use kube::{Api, Client};

use crate::poll;
use crate::scratch::Scratch;

/// Deadline for missing Secrets; cert-manager issues within a second.
const PATIENCE: Duration = Duration::from_mins(1);

/// The mounts of one container: copies of its Secrets and ConfigMaps at its start.
#[derive(Debug)]
pub(super) struct Mounts {
    places: Vec<(String, PathBuf)>,
    _directory: Scratch,
}

impl Mounts {
    /// Copies the volumes. As the kubelet, waits for missing Secrets and ConfigMaps.
    pub(super) async fn create(client: &Client, namespace: &str, pod: &PodSpec, container: &Container) -> Result<Self> {
        let directory = Scratch::create("mounts")?;
        let mut places = Vec::new();
        for mount in container.volume_mounts.iter().flatten() {
            let volume = pod.volumes.iter().flatten().find(|volume| volume.name == mount.name);
            let volume = volume.with_context(|| format!("no volume named {}", mount.name))?;
            let place = directory.path().join(&mount.name);
            fs::create_dir_all(&place)?;
            for (path, content) in files(client, namespace, volume).await? {
                fs::write(place.join(path), content)?;
            }
            places.push((mount.mount_path.clone(), place));
        }
        // Nested mounts first.
        places.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        Ok(Self { places, _directory: directory })
    }

    /// Replaces the container's mount paths in a setting by the local ones.
    pub(super) fn with_local_paths(&self, text: &str) -> String {
        self.places.iter().fold(text.to_owned(), |text, (path, place)| text.replace(path, &place.display().to_string()))
    }
}

/// The files of a volume.
async fn files(client: &Client, namespace: &str, volume: &Volume) -> Result<Vec<(String, Vec<u8>)>> {
    let (items, what) = match (&volume.secret, &volume.config_map) {
        (Some(secret), None) => (secret.items.as_deref(), secret.secret_name.clone().unwrap_or_default()),
        (None, Some(map)) => (map.items.as_deref(), map.name.clone()),
        _ => bail!("the volume {} is neither a Secret nor a ConfigMap, which is all that is mounted here", volume.name),
    };
    poll::eventually(&format!("the volume {} can be mounted", volume.name), PATIENCE, || async {
        let data = if volume.secret.is_some() {
            secret(client, namespace, &what).await
        } else {
            config_map(client, namespace, &what).await
        };
        chosen(&data.map_err(|error| error.to_string())?, items)
    })
    .await
}

async fn secret(client: &Client, namespace: &str, name: &str) -> Result<BTreeMap<String, Vec<u8>>, kube::Error> {
    let secret = Api::<Secret>::namespaced(client.clone(), namespace).get(name).await?;
    Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
}

async fn config_map(client: &Client, namespace: &str, name: &str) -> Result<BTreeMap<String, Vec<u8>>, kube::Error> {
    let map = Api::<ConfigMap>::namespaced(client.clone(), namespace).get(name).await?;
    Ok(map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes())).collect())
}

/// The selected keys, or all. A missing key is an error, which keeps the pod waiting.
fn chosen(data: &BTreeMap<String, Vec<u8>>, items: Option<&[KeyToPath]>) -> Result<Vec<(String, Vec<u8>)>, String> {
    let Some(items) = items else { return Ok(data.clone().into_iter().collect()) };
    let take = |item: &KeyToPath| {
        let value = data.get(&item.key).ok_or_else(|| format!("no key {}", item.key))?;
        Ok((item.path.clone(), value.clone()))
    };
    items.iter().map(take).collect()
}
