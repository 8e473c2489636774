//! Usage of the rate that Coder's limit allows, compared with an ideal client.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use logstream_testing::coder::{Endpoint, JournalEntry, RateLimit};

/// Time step of the ideal client's simulation.
const STEP: Duration = Duration::from_millis(5);

/// Actual and ideal duration of a client's requests.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Share {
    /// Number of successful requests.
    pub(crate) requests: usize,
    /// Time they took.
    pub(crate) took: Duration,
    /// Time they would have taken an ideal client, which sends as soon as the limit allows.
    pub(crate) ideal: Duration,
}

impl Share {
    /// Share of the allowed rate, in percent.
    pub(crate) fn percent(self) -> f64 {
        if self.took.is_zero() { 100.0 } else { self.ideal.as_secs_f64() / self.took.as_secs_f64() * 100.0 }
    }
}

/// The share of the allowed rate at an endpoint. `ready` has the times, in order, at which data for one more request
/// became available; any requests beyond those count as available at the last of them. Successful requests count from
/// the first time on; earlier requests only use up the limit.
pub(crate) fn share(journal: &[JournalEntry], endpoint: Endpoint, limit: RateLimit, ready: &[SystemTime]) -> Share {
    let (Some(&from), Some(&end)) = (ready.first(), ready.last()) else { return Share::default() };
    let here = || journal.iter().filter(|seen| seen.endpoint == endpoint);
    let useful = || here().filter(|seen| seen.at >= from && (200..300).contains(&seen.status));
    let requests = useful().count();
    let last = useful().map(|seen| seen.at).max().unwrap_or(from);
    let before = here().filter(|seen| seen.at < from && seen.status != 429).map(|seen| seen.at);
    let ready: Vec<SystemTime> = ready.iter().copied().chain(std::iter::repeat(end)).take(requests).collect();
    let ideal = Ideal::new(limit, from, before).take(&ready);
    Share { requests, took: last.duration_since(from).unwrap_or_default(), ideal }
}

/// A client that knows the limiter's state and never waits longer than necessary. The limiter's rules are those of the
/// stand-in, and of go-chi/httprate.
struct Ideal {
    limit: RateLimit,
    from: SystemTime,
    now: SystemTime,
    window: u128,
    current: u128,
    previous: u128,
}

impl Ideal {
    fn new(limit: RateLimit, from: SystemTime, before: impl Iterator<Item = SystemTime>) -> Self {
        let mut ideal = Self { limit, from, now: from, window: 0, current: 0, previous: 0 };
        ideal.window = ideal.window_of(from);
        for at in before {
            let window = ideal.window_of(at);
            ideal.current += u128::from(window == ideal.window);
            ideal.previous += u128::from(window + 1 == ideal.window);
        }
        ideal
    }

    fn length(&self) -> u128 {
        self.limit.window.as_millis().max(1)
    }

    fn window_of(&self, at: SystemTime) -> u128 {
        at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() / self.length()
    }

    /// Time it takes to send one request for each of these times, none early.
    fn take(&mut self, ready: &[SystemTime]) -> Duration {
        let mut taken = 0;
        while taken < ready.len() {
            let window = self.window_of(self.now);
            if window != self.window {
                self.previous = if self.window + 1 == window { self.current } else { 0 };
                self.current = 0;
                self.window = window;
            }
            let since = self.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            let left = self.length() - since % self.length();
            let used = self.current + (self.previous * left + self.length() / 2) / self.length();
            let free = u128::from(self.limit.requests).saturating_sub(used) as usize;
            let there = ready.partition_point(|&at| at <= self.now) - taken;
            let now = free.min(there);
            self.current += now as u128;
            taken += now;
            if taken < ready.len() {
                self.now += STEP;
            }
        }
        self.now.duration_since(self.from).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LIMIT: RateLimit = RateLimit { requests: 60, window: Duration::from_mins(1) };

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(600_000 + seconds)
    }

    fn seen(at: SystemTime, status: u16) -> JournalEntry {
        let now = Instant::now();
        let token = String::new();
        JournalEntry { endpoint: Endpoint::Logs, token, received: now, at, answered: now, status, batch: None }
    }

    #[test]
    fn requests_beyond_the_limit_follow_as_the_window_slides() {
        assert_eq!(Ideal::new(LIMIT, at(0), [].into_iter()).take(&[at(0); 60]), Duration::ZERO);
        let rest = Ideal::new(LIMIT, at(0), [].into_iter()).take(&[at(0); 90]).as_secs_f64();
        // The first window is full at once; half of it has faded at the middle of the second.
        assert!((89.0..91.0).contains(&rest), "{rest}");
    }

    #[test]
    fn nothing_is_sent_before_it_is_ready() {
        // At the end of a window, of which the first second can use 10 only.
        let ready: Vec<SystemTime> = (58..70).flat_map(|second| [at(second); 10]).collect();
        let rest = Ideal::new(LIMIT, at(59), [].into_iter()).take(&ready[..100]).as_secs_f64();
        // 20 in this window, 60 in the next, of which 40 at once, and 20 while the next fades.
        assert!((80.0..83.0).contains(&rest), "{rest}");
    }

    #[test]
    fn earlier_requests_use_up_the_limit() {
        let full = std::iter::repeat_n(at(10), 60);
        let next = Ideal::new(LIMIT, at(15), full).take(&[at(15)]).as_secs_f64();
        assert!((45.0..46.0).contains(&next), "{next}");
    }

    #[test]
    fn a_client_that_waits_too_long_has_a_lower_share() {
        let burst = (0..60).map(|_| seen(at(0), 200));
        let late = (0..30).map(|_| seen(at(180), 200));
        let refused = (0..5).map(|_| seen(at(1), 429));
        let journal: Vec<JournalEntry> = burst.chain(refused).chain(late).collect();
        let share = share(&journal, Endpoint::Logs, LIMIT, &[at(0)]);
        assert_eq!((share.requests, share.took), (90, Duration::from_mins(3)));
        assert!((49.0..51.0).contains(&share.percent()), "{share:?}");
    }
}
