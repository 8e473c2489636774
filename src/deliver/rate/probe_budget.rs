//! The share of the rate limit for requests that will probably be refused: probes of agents that are not valid yet, and
//! log sources registered ahead.

use std::time::Duration;

use tokio::time::Instant;

use crate::deliver::rate::limiter::as_f64;

/// The budget of one kind of such requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    /// Share of the rate limit, if there is one.
    pub(crate) of_limit: f64,
    /// Requests per second without a limit.
    pub(crate) unlimited: f64,
}

/// A token bucket that fills with a share of the rate limit, and faster while its requests succeed: once one of many
/// waiting agents is valid, the others probably are.
#[derive(Debug)]
pub(crate) struct ProbeBudget {
    part: Part,
    credit: f64,
    at: Option<Instant>,
    /// Success rate of recent requests, from 0 to 1.
    success: f64,
}

/// Size of the bucket, as time to fill it: under a limit a few agents can be probed every second for a while.
const BURST: Duration = Duration::from_secs(30);
/// The same without a limit.
const UNLIMITED_BURST: Duration = Duration::from_secs(1);
/// Factor on the rate without a limit, while all requests succeed.
const UNLIMITED_RISE: f64 = 10.0;
/// Weight of the last outcome in the success rate.
const NEWEST: f64 = 0.25;

impl ProbeBudget {
    pub(crate) fn new(part: Part) -> Self {
        Self { part, credit: 0.0, at: None, success: 0.0 }
    }

    /// Time at which the next request may be sent, while `asking` agents want one each second.
    pub(crate) fn ready_at(&mut self, now: Instant, limit: Option<f64>, asking: usize) -> Instant {
        let rate = self.rate(limit, asking);
        let burst = if limit.is_some() { BURST } else { UNLIMITED_BURST };
        // With a bucket for less than one request, none could ever be sent.
        let most = (rate * burst.as_secs_f64()).max(1.0);
        let gained = self.at.map_or(most, |at| rate * now.saturating_duration_since(at).as_secs_f64());
        self.credit = (self.credit + gained).min(most);
        self.at = Some(now);
        if self.credit >= 1.0 {
            return now;
        }
        // Even with a limit of one a minute, a request is sent within the hour.
        let wait = ((1.0 - self.credit) / rate.max(0.000_3)).min(3600.0);
        now + Duration::from_secs_f64(wait) + Duration::from_millis(1)
    }

    /// Takes one token.
    pub(crate) fn take(&mut self) {
        self.credit -= 1.0;
    }

    /// Records whether a request succeeded.
    pub(crate) fn outcome(&mut self, success: bool) {
        let target = if success { 1.0 } else { 0.0 };
        self.success += (target - self.success) * NEWEST;
    }

    fn rate(&self, limit: Option<f64>, asking: usize) -> f64 {
        match limit {
            // If the limit allows a request to each agent every second, all of it is used. With more agents that is
            // impossible, and the rest is kept for others.
            Some(limit) if asking > 0 && as_f64(asking as u64) <= limit / 60.0 => limit / 60.0,
            Some(limit) => limit / 60.0 * (self.part.of_limit + (1.0 - self.part.of_limit) * self.success),
            None => self.part.unlimited * (1.0 + (UNLIMITED_RISE - 1.0) * self.success),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More agents than any limit here allows to probe every second.
    const MANY: usize = 1_000;

    const PART: Part = Part { of_limit: 0.5, unlimited: 100.0 };

    fn taken(share: &mut ProbeBudget, start: Instant, limit: Option<f64>, length: Duration) -> u32 {
        let (mut now, mut count) = (start, 0);
        loop {
            now = now.max(share.ready_at(now, limit, MANY));
            if now > start + length {
                return count;
            }
            share.take();
            count += 1;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn under_a_limit_it_is_a_part_of_it() {
        let (mut share, start) = (ProbeBudget::new(PART), Instant::now());
        let first = taken(&mut share, start, Some(512.0), Duration::from_mins(1));
        assert!((380..=386).contains(&first), "half a burst and half the pace: {first}");
        let then = taken(&mut share, start + Duration::from_mins(1), Some(512.0), Duration::from_mins(1));
        assert!((250..=256).contains(&then), "half the pace: {then}");
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_as_the_limit_lets_be_asked_every_second_are() {
        for (limit, asking, expected) in [(512.0, 1, 512.0), (512.0, 8, 512.0), (512.0, 9, 256.0), (30.0, 1, 15.0)] {
            let rate = ProbeBudget::new(PART).rate(Some(limit), asking) * 60.0;
            assert!((rate - expected).abs() < 0.1, "{asking} by {limit} a minute: {rate}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn success_opens_it_and_failure_closes_it() {
        let (mut share, start) = (ProbeBudget::new(PART), Instant::now());
        for _ in 0..20 {
            share.outcome(true);
        }
        let many = taken(&mut share, start, None, Duration::from_secs(10));
        assert!(many > 9_000, "{many}");
        for _ in 0..20 {
            share.outcome(false);
        }
        let few = taken(&mut share, start + Duration::from_secs(10), None, Duration::from_secs(10));
        assert!((990..1_150).contains(&few), "{few}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_tiny_limit_still_lets_one_go() {
        let (mut share, start) = (ProbeBudget::new(PART), Instant::now());
        assert_eq!(share.ready_at(start, Some(1.0), MANY), start);
        share.take();
        assert!(share.ready_at(start, Some(1.0), MANY) <= start + Duration::from_secs(121));
    }
}
