//! Reading a request's body: bounded in size, in time, and in what all bodies together take.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::rejection::Rejection;

/// The largest body taken. The API server takes objects of up to 3 MiB and etcd of 1.5 MiB by default; what is more
/// is the review around the object.
pub(crate) const LIMIT: usize = 4 * 1024 * 1024;

/// How long a body may take. The API server itself gives up after `timeoutSeconds`, 1 or 2 by our chart.
const DEADLINE: Duration = Duration::from_secs(5);

/// What the bodies of all requests may take at once: sixteen of the largest, or ten thousand of ordinary size.
const TOTAL: usize = 16 * LIMIT;

/// Memory for bodies, shared by all requests.
#[derive(Debug, Clone)]
pub(crate) struct Bodies {
    bytes: Arc<Semaphore>,
}

/// A body, read whole; its share of the memory is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Whole {
    bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
}

impl Whole {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Bodies {
    pub(crate) fn new() -> Self {
        Self { bytes: Arc::new(Semaphore::new(TOTAL)) }
    }

    /// Reads a body to its end. Waits for the peer alone, and no longer than the deadline.
    pub(crate) async fn read(&self, body: Body) -> Result<Whole, Rejection> {
        tokio::time::timeout(DEADLINE, self.read_frames(body))
            .await
            .unwrap_or(Err(Rejection::Slow { seconds: DEADLINE.as_secs() }))
    }

    async fn read_frames(&self, mut body: Body) -> Result<Whole, Rejection> {
        let mut whole = Whole { bytes: Vec::new(), share: None };
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Rejection::Incomplete)?.into_data() else { continue };
            if whole.bytes.len() + data.len() > LIMIT {
                return Err(Rejection::TooLarge { limit: LIMIT });
            }
            // Memory is charged as it arrives, so that a Content-Length alone costs nothing.
            let size = u32::try_from(data.len()).map_err(|_| Rejection::TooLarge { limit: LIMIT })?;
            let share = Arc::clone(&self.bytes).try_acquire_many_owned(size).map_err(|_| Rejection::Overloaded)?;
            match &mut whole.share {
                Some(held) => held.merge(share),
                none => *none = Some(share),
            }
            whole.bytes.extend_from_slice(&data);
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let rejection = Bodies::new().read(Body::new(Stalled)).await.unwrap_err();
        assert_eq!(rejection, Rejection::Slow { seconds: 5 });
    }

    #[tokio::test]
    async fn the_limit_is_the_last_size_taken() {
        let bodies = Bodies::new();
        assert_eq!(bodies.read(Body::from(vec![b' '; LIMIT])).await.unwrap().bytes().len(), LIMIT);
        let over = bodies.read(Body::from(vec![b' '; LIMIT + 1])).await.unwrap_err();
        assert_eq!(over, Rejection::TooLarge { limit: LIMIT });
    }

    #[tokio::test]
    async fn all_bodies_together_are_bounded_and_give_back_what_they_took() {
        let bodies = Bodies::new();
        let full = || bodies.read(Body::from(vec![b' '; LIMIT]));
        let mut held = Vec::new();
        for _ in 0..TOTAL / LIMIT {
            held.push(full().await.unwrap());
        }
        assert_eq!(full().await.unwrap_err(), Rejection::Overloaded);
        held.pop();
        full().await.unwrap();
    }

    /// A body of which nothing comes.
    struct Stalled;

    impl hyper::body::Body for Stalled {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
            Poll::Pending
        }
    }
}
