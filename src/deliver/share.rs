//! The part of a pace that may go to requests which will probably be refused: probes of agents that are not yet
//! valid, and posts ahead for claims that nobody has bound.

use std::time::Duration;

use tokio::time::Instant;

use super::pace::as_f64;

/// How fast such requests may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// The part of the limit, where there is one.
    pub(super) of_limit: f64,
    /// Requests a second, where there is none.
    pub(super) unlimited: f64,
}

/// A bucket that fills with a part of the pace, and faster while what it pays for succeeds: once the first of many
/// waiting agents has become valid, the others probably have.
#[derive(Debug)]
pub(super) struct Share {
    part: Part,
    credit: f64,
    at: Option<Instant>,
    /// How often the last few succeeded, from 0 to 1.
    success: f64,
}

/// A full bucket lets this much time's worth go at once, so that a few agents are probed every second for a while
/// even under a limit.
const BURST: Duration = Duration::from_secs(30);
/// The same without a limit, where a second's worth is a lot already.
const UNLIMITED_BURST: Duration = Duration::from_secs(1);
/// How much faster it may go without a limit, while all succeed.
const UNLIMITED_RISE: f64 = 10.0;
/// The weight of the last outcome: four in a row tell.
const NEWEST: f64 = 0.25;

impl Share {
    pub(super) fn new(part: Part) -> Self {
        Self { part, credit: 0.0, at: None, success: 0.0 }
    }

    /// When the next may go, of so many that ask for one each second.
    pub(super) fn ready_at(&mut self, now: Instant, limit: Option<f64>, asking: usize) -> Instant {
        let rate = self.rate(limit, asking);
        let burst = if limit.is_some() { BURST } else { UNLIMITED_BURST };
        // Below one request's worth it could never go.
        let most = (rate * burst.as_secs_f64()).max(1.0);
        let gained = self.at.map_or(most, |at| rate * now.saturating_duration_since(at).as_secs_f64());
        self.credit = (self.credit + gained).min(most);
        self.at = Some(now);
        if self.credit >= 1.0 {
            return now;
        }
        // A limit of one a minute would still be asked within the hour.
        let wait = ((1.0 - self.credit) / rate.max(0.000_3)).min(3600.0);
        now + Duration::from_secs_f64(wait) + Duration::from_millis(1)
    }

    /// One goes now.
    pub(super) fn take(&mut self) {
        self.credit -= 1.0;
    }

    /// Whether one that went was of use.
    pub(super) fn outcome(&mut self, success: bool) {
        let target = if success { 1.0 } else { 0.0 };
        self.success += (target - self.success) * NEWEST;
    }

    fn rate(&self, limit: Option<f64>, asking: usize) -> f64 {
        match limit {
            // As few as the limit lets be asked every second are; with more, nobody would be, and the rest is kept for
            // others.
            Some(limit) if asking > 0 && as_f64(asking as u64) <= limit / 60.0 => limit / 60.0,
            Some(limit) => limit / 60.0 * (self.part.of_limit + (1.0 - self.part.of_limit) * self.success),
            None => self.part.unlimited * (1.0 + (UNLIMITED_RISE - 1.0) * self.success),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than any limit here lets be asked every second.
    const MANY: usize = 1_000;

    const PART: Part = Part { of_limit: 0.5, unlimited: 100.0 };

    fn taken(share: &mut Share, start: Instant, limit: Option<f64>, length: Duration) -> u32 {
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
        let (mut share, start) = (Share::new(PART), Instant::now());
        let first = taken(&mut share, start, Some(512.0), Duration::from_mins(1));
        assert!((380..=386).contains(&first), "half a burst and half the pace: {first}");
        let then = taken(&mut share, start + Duration::from_mins(1), Some(512.0), Duration::from_mins(1));
        assert!((250..=256).contains(&then), "half the pace: {then}");
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_as_the_limit_lets_be_asked_every_second_are() {
        for (limit, asking, expected) in [(512.0, 1, 512.0), (512.0, 8, 512.0), (512.0, 9, 256.0), (30.0, 1, 15.0)] {
            let rate = Share::new(PART).rate(Some(limit), asking) * 60.0;
            assert!((rate - expected).abs() < 0.1, "{asking} by {limit} a minute: {rate}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn success_opens_it_and_failure_closes_it() {
        let (mut share, start) = (Share::new(PART), Instant::now());
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
        let (mut share, start) = (Share::new(PART), Instant::now());
        assert_eq!(share.ready_at(start, Some(1.0), MANY), start);
        share.take();
        assert!(share.ready_at(start, Some(1.0), MANY) <= start + Duration::from_secs(121));
    }
}
