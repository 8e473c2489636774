//! Reading the webhook configuration again and again, for a certificate that somebody else keeps.

use std::{sync::Arc, time::Duration};

use kube::Client;
use tokio::time::sleep;
use tracing::warn;

use crate::{
    api::{CONFIGURATIONS, Configuration, Object, Watch},
    trust::Trust,
};

/// How often it is read although a watch stands, which may have died unseen.
pub(crate) const WATCHED: Duration = Duration::from_secs(30);
/// How often it is read without a watch.
pub(crate) const UNWATCHED: Duration = Duration::from_secs(1);

/// Keeps `trust` up to date with the `MutatingWebhookConfiguration` of this name. Never ends; the caller supervises it.
pub async fn observe(client: Client, name: &str, trust: Arc<Trust>) {
    let object = Object::new(client, CONFIGURATIONS, name);
    let mut watch = Watch::new(object.clone());
    let mut told = false;
    loop {
        match object.get::<Configuration>().await {
            Ok(configuration) => {
                told = false;
                trust.read(configuration.as_ref());
                trust.trouble(None);
            }
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    warn!(%error, "what the API server trusts is not known");
                }
                trust.trouble(Some(error.to_string()));
            }
        }
        let pause = if watch.stands() { WATCHED } else { UNWATCHED };
        tokio::select! {
            () = watch.changed() => {}
            () = sleep(pause) => {}
        }
    }
}
