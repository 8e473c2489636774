//! A probe of Coder at the start of the program.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    coder::CoderClient,
    runtime::{Backoff, LogOnce},
};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Requests Coder's version until there is an answer, and logs the first failure: an operator should see a wrong URL
/// when the program starts, not when the first workspace does. Nothing waits for it. Ends with `shutdown`.
pub(super) async fn probe(coder: CoderClient, url: Url, shutdown: CancellationToken) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut logged = LogOnce::default();
    let requests = async {
        loop {
            match coder.build_info().await {
                Ok(info) => {
                    tracing::info!(%url, version = info.version, "Coder is reachable");
                    return;
                }
                Err(error) => {
                    if logged.is_new(()) {
                        tracing::warn!(%url, %error, "Coder does not answer, holding lines until it does");
                    }
                }
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    };
    let _ = shutdown.run_until_cancelled(requests).await;
    shutdown.cancelled().await;
}
