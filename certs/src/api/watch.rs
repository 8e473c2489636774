//! A watch of one object.

use std::time::Duration;

use futures::{StreamExt as _, stream::BoxStream};
use http::Request;
use kube::core::WatchEvent;
use logstream_runtime::{Backoff, LogOnce};
use serde::de::IgnoredAny;
use tokio::time::{Instant, sleep_until};
use tracing::info;

use super::Object;

/// Time after which the API server ends a watch, in seconds. A dead connection is noticed by then.
const TIMEOUT_SECONDS: u32 = 240;
/// Upper bound of the first pause before a watch is restarted.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Upper bound of all pauses. A permission may be granted while the program runs.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A watch of one object, restarted whenever it ends. It only signals a change; the caller reads the object.
pub(crate) struct Watch {
    object: Object,
    events: Option<BoxStream<'static, kube::Result<WatchEvent<IgnoredAny>>>>,
    backoff: Backoff,
    resume: Instant,
    logged: LogOnce,
}

impl Watch {
    /// Creates a watch, which starts with the first call of [`Watch::changed`].
    pub(crate) fn new(object: Object) -> Self {
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        Self { object, events: None, backoff, resume: Instant::now(), logged: LogOnce::default() }
    }

    /// True while it is connected. Otherwise the object must be polled.
    pub(crate) fn is_connected(&self) -> bool {
        self.events.is_some()
    }

    /// Waits until the object has changed, or may have changed unnoticed. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        loop {
            let Some(events) = &mut self.events else {
                sleep_until(self.resume).await;
                self.start().await;
                continue;
            };
            match events.next().await {
                Some(Ok(WatchEvent::Bookmark(_))) => {}
                Some(Ok(WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Deleted(_))) => {
                    self.backoff.reset();
                    return;
                }
                Some(Ok(WatchEvent::Error(_)) | Err(_)) | None => {
                    self.events = None;
                    self.resume = Instant::now() + self.backoff.pause();
                }
            }
        }
    }

    async fn start(&mut self) {
        let Object { client, collection, name } = &self.object;
        // resourceVersion 0 starts with the object in the API server's cache. No change since the last read is missed,
        // and the version cannot be too old.
        let uri = format!(
            "{collection}?watch=1&allowWatchBookmarks=true&resourceVersion=0&timeoutSeconds={TIMEOUT_SECONDS}\
             &fieldSelector=metadata.name%3D{name}"
        );
        let started = match Request::get(uri).body(Vec::new()) {
            Ok(request) => client.request_events::<IgnoredAny>(request).await,
            Err(error) => Err(kube::Error::HttpError(error)),
        };
        match started {
            Ok(events) => self.events = Some(events.boxed()),
            Err(error) => {
                if self.logged.is_new(()) {
                    let error = self.object.failed(error, "watch");
                    info!(%error, "cannot watch the object, reading it every second instead");
                }
                self.resume = Instant::now() + self.backoff.pause();
            }
        }
    }
}
