//! Being logged that one object may have changed.

use std::time::Duration;

use futures::{StreamExt as _, stream::BoxStream};
use http::Request;
use kube::core::WatchEvent;
use serde::de::IgnoredAny;
use tokio::time::{Instant, sleep_until};
use tracing::info;

use super::Object;

/// The API server ends a watch after this time; a connection that died unseen is noticed then.
const SECONDS: u32 = 240;
/// The first pause before a watch that ended is begun again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
/// The longest: a permission may be granted while the program runs.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A watch of one object, begun again whenever it ends. It only wakes: what there is to know is read.
pub(crate) struct Watch {
    object: Object,
    events: Option<BoxStream<'static, kube::Result<WatchEvent<IgnoredAny>>>>,
    pause: Duration,
    resume: Instant,
    logged: bool,
}

impl Watch {
    /// A watch that begins when it is first waited for.
    pub(crate) fn new(object: Object) -> Self {
        Self { object, events: None, pause: Duration::ZERO, resume: Instant::now(), logged: false }
    }

    /// True while it is connected. Otherwise the object must be polled.
    pub(crate) fn stands(&self) -> bool {
        self.events.is_some()
    }

    /// Waits until the object has changed, or may have unseen. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        loop {
            let Some(events) = &mut self.events else {
                sleep_until(self.resume).await;
                self.begin().await;
                continue;
            };
            match events.next().await {
                Some(Ok(WatchEvent::Bookmark(_))) => {}
                Some(Ok(WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Deleted(_))) => {
                    self.pause = Duration::ZERO;
                    return;
                }
                Some(Ok(WatchEvent::Error(_)) | Err(_)) | None => {
                    self.events = None;
                    self.later();
                }
            }
        }
    }

    async fn begin(&mut self) {
        let Object { client, collection, name } = &self.object;
        // From any recent version, which first tells of the object as it is there: what changed between the last
        // reading and now is not missed, and no version can be too old.
        let uri = format!(
            "{collection}?watch=1&allowWatchBookmarks=true&resourceVersion=0&timeoutSeconds={SECONDS}\
             &fieldSelector=metadata.name%3D{name}"
        );
        let begun = match Request::get(uri).body(Vec::new()) {
            Ok(request) => client.request_events::<IgnoredAny>(request).await,
            Err(error) => Err(kube::Error::HttpError(error)),
        };
        match begun {
            Ok(events) => self.events = Some(events.boxed()),
            Err(error) => {
                if !std::mem::replace(&mut self.logged, true) {
                    let error = self.object.failed(error, "watch");
                    info!(%error, "cannot be watched, it is read every second instead");
                }
                self.later();
            }
        }
    }

    fn later(&mut self) {
        self.pause = (self.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.resume = Instant::now() + self.pause;
    }
}
