//! Watches the caBundle of the webhook configuration, for certificates that are renewed externally.

use std::{sync::Arc, time::Duration};

use kube::Client;
use logstream_runtime::LogOnce;
use tokio::time::sleep;
use tracing::warn;

use crate::{
    api::{CONFIGURATIONS, Configuration, Object, Watch},
    trust::Trust,
};

/// Read interval while a watch is open. The watch may have died unnoticed.
pub(crate) const RESYNC_INTERVAL: Duration = Duration::from_secs(30);
/// Read interval without a watch.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps `trust` up to date with the `MutatingWebhookConfiguration` of this name. Never returns; run it under a
/// supervisor.
pub async fn watch_ca_bundle(client: Client, name: &str, trust: Arc<Trust>) {
    let object = Object::new(client, CONFIGURATIONS, name);
    let mut watch = Watch::new(object.clone());
    let mut logged = LogOnce::default();
    loop {
        match object.get::<Configuration>().await {
            Ok(configuration) => {
                logged.end();
                trust.read(configuration.as_ref());
                trust.trouble(None);
            }
            Err(error) => {
                let problem = error.to_string();
                if logged.is_new(problem.clone()) {
                    warn!(%error, "cannot read the webhook configuration");
                }
                trust.trouble(Some(problem));
            }
        }
        let pause = if watch.is_connected() { RESYNC_INTERVAL } else { POLL_INTERVAL };
        tokio::select! {
            () = watch.changed() => {}
            () = sleep(pause) => {}
        }
    }
}
