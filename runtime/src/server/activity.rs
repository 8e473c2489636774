//! Activity of a connection.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::Limits;

/// Time for which a closing connection stays open for a request that was already sent.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// The activity of one connection.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Number of unanswered requests.
    in_flight: usize,
    /// True after the first request.
    used: bool,
    /// True after a successful answer.
    accepted: bool,
    /// Time of the last answer, or of the connection's start.
    since: Instant,
    /// Time at which closing was requested.
    closing: Option<Instant>,
}

/// A snapshot of the activity, to compare connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Use {
    /// A request was answered with success.
    pub(super) accepted: bool,
    /// A request has no answer yet.
    pub(super) in_flight: bool,
    /// Time of the last answer, or of the connection's start.
    pub(super) since: Instant,
}

/// The next step for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Check again at this time.
    At(Instant),
    /// Close it.
    Close,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            in_flight: 0,
            used: false,
            accepted: false,
            since: Instant::now(),
            closing: None,
        })))
    }

    /// Counts a request as in flight until the value is dropped.
    pub(super) fn request(&self) -> InFlight {
        let mut state = self.state();
        state.in_flight += 1;
        state.used = true;
        InFlight(self.clone())
    }

    /// The activity up to now.
    pub(super) fn usage(&self) -> Use {
        let State { in_flight, accepted, since, .. } = *self.state();
        Use { accepted, in_flight: in_flight > 0, since }
    }

    /// Requests closing. Returns false if it was requested before.
    pub(super) fn close(&self) -> bool {
        let mut state = self.state();
        let first = state.closing.is_none();
        state.closing.get_or_insert_with(Instant::now);
        first
    }

    /// The step to take now.
    pub(super) fn next(&self, limits: &Limits) -> Next {
        let state = self.state();
        let now = Instant::now();
        let (since, patience) = match state.closing {
            Some(closing) => (state.since.max(closing), CLOSE_GRACE),
            None if state.used => (state.since, limits.idle),
            None => (state.since, limits.first_request),
        };
        if state.in_flight > 0 {
            return Next::At(now + patience);
        }
        let end = since + patience;
        if end <= now { Next::Close } else { Next::At(end) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct InFlight(Activity);

impl InFlight {
    /// The request was answered with success.
    pub(super) fn accepted(&self) {
        self.0.state().accepted = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight -= 1;
        state.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_first_request_is_waited_for_less_long_than_a_next_one() {
        let (activity, limits) = (Activity::new(), Limits::default());
        let start = Instant::now();
        assert_eq!(activity.next(&limits), Next::At(start + limits.first_request));
        let request = activity.request();
        advance(limits.idle * 2).await;
        assert_ne!(activity.next(&limits), Next::Close, "a request is in flight");
        drop(request);
        assert_eq!(activity.next(&limits), Next::At(Instant::now() + limits.idle));
        advance(limits.idle).await;
        assert_eq!(activity.next(&limits), Next::Close);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_closing_has_a_last_word_after_its_last_answer() {
        let (activity, limits) = (Activity::new(), Limits::default());
        let request = activity.request();
        assert!(activity.close());
        assert!(!activity.close());
        advance(CLOSE_GRACE * 3).await;
        assert_ne!(activity.next(&limits), Next::Close);
        drop(request);
        assert_eq!(activity.next(&limits), Next::At(Instant::now() + CLOSE_GRACE));
        advance(CLOSE_GRACE).await;
        assert_eq!(activity.next(&limits), Next::Close);
    }
}
