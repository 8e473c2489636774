//! The first word to Coder: is it there, and is it Coder?

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{coder::CoderClient, runtime::Backoff};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Asks for Coder's version until there is an answer, and says once what stands in the way: an operator should read
/// of a wrong URL when the program starts, not when the first workspace does. Nothing waits for it.
pub(super) async fn greet(coder: CoderClient, url: Url, shutdown: CancellationToken) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut told = false;
    let asking = async {
        loop {
            match coder.build_info().await {
                Ok(info) => {
                    tracing::info!(%url, version = info.version, "Coder answers");
                    return;
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%url, %error, "no answer of Coder, lines are held until there is one");
                    }
                }
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    };
    let _ = shutdown.run_until_cancelled(asking).await;
    shutdown.cancelled().await;
}
