//! Coder's rate limit: a sliding window of two counters, as in go-chi/httprate.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Endpoint, RateLimit};

/// Coder's window.
pub const WINDOW: Duration = Duration::from_mins(1);

/// Requests are counted per address and endpoint.
type Key = (IpAddr, Endpoint);

#[derive(Debug, Default)]
struct Counts {
    /// The number of the window of `current`.
    window: u64,
    current: u32,
    previous: u32,
}

/// Values of the rate limit headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LimitStatus {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// Unix seconds at which the window ends.
    pub(super) reset: u64,
    /// Seconds to wait; set if the request is rejected.
    pub(super) retry_after: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Limiter {
    limit: Option<RateLimit>,
    counts: HashMap<Key, Counts>,
}

impl Limiter {
    pub(super) fn new(limit: Option<RateLimit>) -> Self {
        Self { limit, counts: HashMap::new() }
    }

    /// Checks a request against the limit, and counts it unless the limit is exceeded. `None` without a limit.
    pub(super) fn check(&mut self, address: IpAddr, endpoint: Endpoint, now: SystemTime) -> Option<LimitStatus> {
        let limit = self.limit?;
        let length = limit.window.as_millis().max(1);
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let window = u64::try_from(since / length).unwrap_or(u64::MAX);
        let counts = self.counts.entry((address, endpoint)).or_default();
        if counts.window != window {
            counts.previous = if counts.window + 1 == window { counts.current } else { 0 };
            counts.current = 0;
            counts.window = window;
        }
        // The previous window is weighted by the share of it that a window ending now still covers.
        let left = length - since % length;
        let weighted = (u128::from(counts.previous) * left + length / 2) / length;
        let used = counts.current + u32::try_from(weighted).unwrap_or(u32::MAX);
        let end = (u128::from(window) + 1) * length;
        let reset = u64::try_from(end / 1_000).unwrap_or(u64::MAX);
        let refused = used + 1 > limit.requests;
        if !refused {
            counts.current += 1;
        }
        let spent = if refused { used } else { used + 1 };
        Some(LimitStatus {
            limit: limit.requests,
            remaining: limit.requests.saturating_sub(spent),
            reset,
            // The library always answers with the length of the whole window.
            retry_after: refused.then(|| limit.window.as_secs().max(1)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(600_000 + seconds)
    }

    fn limiter(requests: u32) -> Limiter {
        Limiter::new(Some(RateLimit { requests, window: WINDOW }))
    }

    #[test]
    fn a_request_over_the_limit_is_refused_and_not_counted() {
        let mut limiter = limiter(2);
        assert_eq!(limiter.check(HERE, Endpoint::Logs, at(0)).unwrap().remaining, 1);
        assert_eq!(limiter.check(HERE, Endpoint::Logs, at(1)).unwrap().remaining, 0);
        let refused = limiter.check(HERE, Endpoint::Logs, at(2)).unwrap();
        assert_eq!(refused.retry_after, Some(60));
        assert_eq!(refused.reset, 600_060);
        assert!(limiter.check(HERE, Endpoint::LogSource, at(2)).unwrap().retry_after.is_none(), "another endpoint");
    }

    #[test]
    fn the_previous_window_counts_by_its_remaining_share() {
        let mut limiter = limiter(10);
        for _ in 0..10 {
            assert!(limiter.check(HERE, Endpoint::Logs, at(30)).unwrap().retry_after.is_none());
        }
        assert!(limiter.check(HERE, Endpoint::Logs, at(60)).unwrap().retry_after.is_some(), "all ten still count");
        assert_eq!(limiter.check(HERE, Endpoint::Logs, at(90)).unwrap().remaining, 4, "half of them count");
        assert_eq!(limiter.check(HERE, Endpoint::Logs, at(300)).unwrap().remaining, 9, "long ago");
    }
}
