//! Requests that wait for a free slot: a list of thousands of objects causes more than are served at once.

use std::collections::VecDeque;

/// Maximum number of waiting requests: one for each object that is followed. A dropped request is not repeated, and its
/// workspace's lines are lost.
const LIMIT: usize = 200_000;

/// Requests in order of arrival. Further ones are dropped.
#[derive(Debug)]
pub(super) struct Postponed<T> {
    waiting: VecDeque<T>,
    limit: usize,
}

impl<T> Default for Postponed<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), limit: LIMIT }
    }
}

impl<T: Clone> Postponed<T> {
    /// Makes a request, now or later. Returns false if it was dropped.
    pub(super) fn request<E>(&mut self, request: T, make: impl Fn(T) -> Result<(), E>) -> bool {
        if self.waiting.is_empty() && make(request.clone()).is_ok() {
            return true;
        }
        let room = self.waiting.len() < self.limit;
        if room {
            self.waiting.push_back(request);
        }
        room
    }

    /// Makes waiting requests while there are free slots.
    pub(super) fn retry<E>(&mut self, make: impl Fn(T) -> Result<(), E>) {
        while let Some(first) = self.waiting.front() {
            if make(first.clone()).is_err() {
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// Drops requests that are not `wanted` any more.
    pub(super) fn retain(&mut self, wanted: impl FnMut(&T) -> bool) {
        self.waiting.retain(wanted);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A server with a number of free slots.
    struct Server {
        room: RefCell<usize>,
        taken: RefCell<Vec<u32>>,
    }

    impl Server {
        fn take(&self, request: u32) -> Result<(), ()> {
            let mut room = self.room.borrow_mut();
            *room = room.checked_sub(1).ok_or(())?;
            self.taken.borrow_mut().push(request);
            Ok(())
        }
    }

    #[test]
    fn postponed_requests_are_retried_in_order_and_bounded() {
        let server = Server { room: 1.into(), taken: RefCell::default() };
        let mut postponed = Postponed { limit: 3, ..Postponed::default() };
        let kept: Vec<_> = (0..5).map(|request| postponed.request(request, |request| server.take(request))).collect();
        assert_eq!(kept, [true, true, true, true, false]);
        server.room.replace(1);
        postponed.retry(|request| server.take(request));
        // There are free slots again, and the requests that came first get them.
        server.room.replace(9);
        assert!(postponed.request(5, |request| server.take(request)));
        postponed.retain(|request| *request != 3);
        postponed.retry(|request| server.take(request));
        assert_eq!(server.taken.into_inner(), [0, 1, 2, 5]);
    }
}
