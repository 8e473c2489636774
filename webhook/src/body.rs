//! Reads request bodies, with limits on size, time and total memory.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::rejection::Rejection;

/// Maximum size of a body. By default the API server accepts objects of up to 3 MiB and etcd of 1.5 MiB; the rest is for
/// the review around the object.
pub(crate) const LIMIT: usize = 4 * 1024 * 1024;

/// Time limit for a body. The API server gives up after `timeoutSeconds`, 1 or 2 in the chart.
const DEADLINE: Duration = Duration::from_secs(5);

/// Size up to which a body is an ordinary one. Nearly all reviews are below a tenth of it.
const ORDINARY: usize = 256 * 1024;

/// Total memory for ordinary bodies, in bytes: thousands of reviews at once.
const TOTAL: usize = 12 * 1024 * 1024;

/// Number of bodies beyond [`ORDINARY`] that are read and decoded at once. Others wait.
const LARGE_AT_ONCE: usize = 2;

/// Memory for the bodies of all requests: at most [`TOTAL`] plus `LARGE_AT_ONCE * LIMIT` bytes. Large bodies do not use
/// the share of ordinary ones.
#[derive(Debug, Clone)]
pub(crate) struct Bodies {
    bytes: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// A complete body. Dropping it frees its share of the memory.
#[derive(Debug)]
pub(crate) struct Whole {
    bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
    turn: Option<OwnedSemaphorePermit>,
}

impl Whole {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends data. Grows by a quarter where a `Vec` would double: at most that much of a large body is unused.
    fn extend(&mut self, data: &[u8]) {
        let size = self.bytes.len() + data.len();
        if size > ORDINARY && size > self.bytes.capacity() {
            self.bytes.reserve_exact(data.len().max(self.bytes.len() / 4));
        }
        self.bytes.extend_from_slice(data);
    }
}

impl Bodies {
    pub(crate) fn new() -> Self {
        Self { bytes: Arc::new(Semaphore::new(TOTAL)), large: Arc::new(Semaphore::new(LARGE_AT_ONCE)) }
    }

    /// Reads a body to its end, within the deadline. A large one waits for its turn first.
    pub(crate) async fn read(&self, body: Body) -> Result<Whole, Rejection> {
        tokio::time::timeout(DEADLINE, self.read_frames(body))
            .await
            .unwrap_or(Err(Rejection::Slow { seconds: DEADLINE.as_secs() }))
    }

    async fn read_frames(&self, mut body: Body) -> Result<Whole, Rejection> {
        let mut whole = Whole { bytes: Vec::new(), share: None, turn: None };
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Rejection::Incomplete)?.into_data() else { continue };
            let size = whole.bytes.len() + data.len();
            if size > LIMIT {
                return Err(Rejection::TooLarge { limit: LIMIT });
            }
            // Memory is charged as it arrives, so that a Content-Length alone costs nothing.
            let ordinary = size.min(ORDINARY) - whole.bytes.len().min(ORDINARY);
            let ordinary = u32::try_from(ordinary).map_err(|_| Rejection::TooLarge { limit: LIMIT })?;
            let share = Arc::clone(&self.bytes).try_acquire_many_owned(ordinary).map_err(|_| Rejection::Overloaded)?;
            match &mut whole.share {
                Some(held) => held.merge(share),
                none => *none = Some(share),
            }
            if size > ORDINARY && whole.turn.is_none() {
                let turn = Arc::clone(&self.large).acquire_owned().await.map_err(|_| Rejection::Overloaded)?;
                whole.turn = Some(turn);
            }
            whole.extend(&data);
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
    async fn ordinary_bodies_share_a_limit_and_release_it() {
        let bodies = Bodies::new();
        let ordinary = || bodies.read(Body::from(vec![b' '; ORDINARY]));
        let mut held = Vec::new();
        for _ in 0..TOTAL / ORDINARY {
            held.push(ordinary().await.unwrap());
        }
        assert_eq!(ordinary().await.unwrap_err(), Rejection::Overloaded);
        held.pop();
        ordinary().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_their_turn_and_ordinary_ones_do_not() {
        let bodies = Bodies::new();
        let large = || bodies.read(Body::from(vec![b' '; LIMIT]));
        let mut held = vec![large().await.unwrap(), large().await.unwrap()];
        assert_eq!(large().await.unwrap_err(), Rejection::Slow { seconds: 5 });
        bodies.read(Body::from(vec![b' '; ORDINARY])).await.unwrap();
        held.pop();
        large().await.unwrap();
    }

    /// A body that never arrives.
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
