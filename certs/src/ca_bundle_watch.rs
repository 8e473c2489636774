//! Watches the caBundle of the webhook configuration, for certificates that are renewed externally.

use std::{sync::Arc, time::Duration};

use kube::Client;
use tokio::time::sleep;
use tracing::warn;

use crate::{
    api::{CONFIGURATIONS, Configuration, Object, Watch},
    trust::Trust,
};

/// Read interval while a watch is open. The watch may be dead without a sign of it.
pub(crate) const RESYNC_INTERVAL: Duration = Duration::from_secs(30);
/// Read interval without a watch.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps `trust` up to date with the `MutatingWebhookConfiguration` of this name. Never returns; run it under a
/// supervisor.
pub async fn watch_ca_bundle(client: Client, name: &str, trust: Arc<Trust>) {
    let object = Object::new(client, CONFIGURATIONS, name);
    let mut watch = Watch::new(object.clone());
    let mut logged = false;
    loop {
        match object.get::<Configuration>().await {
            Ok(configuration) => {
                logged = false;
                trust.read(configuration.as_ref());
                trust.trouble(None);
            }
            Err(error) => {
                if !std::mem::replace(&mut logged, true) {
                    warn!(%error, "cannot read the webhook configuration");
                }
                trust.trouble(Some(error.to_string()));
            }
        }
        let pause = if watch.stands() { RESYNC_INTERVAL } else { POLL_INTERVAL };
        tokio::select! {
            () = watch.changed() => {}
            () = sleep(pause) => {}
        }
    }
}
