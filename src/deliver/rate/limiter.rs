//! The rate limiter of one endpoint: a model of Coder's own limiter, corrected by every answer.
//!
//! Coder's limiter (go-chi/httprate) counts requests in windows of one minute of its own clock, and weights the
//! previous window by the part of it within the last 60 s: `used = previous * left / 60 s + current`. A request is
//! refused if `used + 1` exceeds the limit; refused requests are not counted. With this model a burst can use what
//! remains at once, and later requests go as fast as old ones leave the window. A plain token bucket would be refused,
//! or waste a part.
//!
//! Uncertainty is resolved to the slower side: an unanswered request counts, and the server's clock is assumed to be as
//! early as its answers allow.

use std::time::Duration;

use tokio::time::Instant;

use crate::coder::Rate;

/// Window of Coder's limiter. Another window is respected too, less exactly, by the remaining count and by 429.
const WINDOW: Duration = Duration::from_mins(1);
/// Maximum number of unanswered requests before the first answer shows whether there is a limit: enough for one round
/// trip of a normal start, too few to exceed a small limit.
const FIRST_ALLOWANCE: u32 = 32;
/// Maximum allowance with a limit known only from refusals. The allowance doubles with each accepted request, up to
/// this.
const FULL_ALLOWANCE: u32 = 256;
/// Time without an answer after which one more request is sent although no allowance is left: those in flight may hang.
const PATIENCE: Duration = Duration::from_millis(250);
/// Longest Retry-After that is respected. Coder never asks for more than its window, a minute.
const LONGEST_STOP: Duration = Duration::from_mins(2);
/// First pause after a 429 without Retry-After. It doubles with each consecutive refusal.
const FIRST_STOP: Duration = Duration::from_secs(1);

/// The rate limiter of one endpoint.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    window: Option<Window>,
    /// Maximum number of unanswered requests; `None` if unlimited.
    allowance: Option<u32>,
    unanswered: u32,
    sent: u64,
    last_sent: Option<Instant>,
    answered: u64,
    stopped_until: Option<Instant>,
    /// Consecutive refusals.
    refusals: u32,
    /// True if a limit is known from refusals, if not from headers.
    refused: bool,
}

/// Permit of one request, to be returned with its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permit {
    /// Number of requests answered when this one was sent: the server has certainly counted them before it.
    answered: u64,
}

/// Meaning of an answer for the limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Coder's limiter accepted the request.
    Taken,
    /// 429, with Retry-After.
    Refused(Option<Duration>),
    /// No answer.
    Lost,
}

impl RateLimiter {
    pub(crate) fn new() -> Self {
        Self {
            window: None,
            allowance: Some(FIRST_ALLOWANCE),
            unanswered: 0,
            sent: 0,
            last_sent: None,
            answered: 0,
            stopped_until: None,
            refusals: 0,
            refused: false,
        }
    }

    /// Time at which the next request may be sent; earlier if an answer arrives before.
    pub(crate) fn ready_at(&mut self, now: Instant) -> Instant {
        if let Some(until) = self.stopped_until {
            if until > now {
                return until;
            }
            self.stopped_until = None;
        }
        let room = match &mut self.window {
            Some(window) => {
                window.roll(now, self.unanswered);
                window.room_at(now)
            }
            None => now,
        };
        match (self.allowance, self.last_sent) {
            (Some(allowance), Some(last)) if self.unanswered >= allowance => room.max(last + PATIENCE),
            _ => room,
        }
    }

    /// Counts a request that is sent now.
    pub(crate) fn send(&mut self, now: Instant) -> Permit {
        let permit = Permit { answered: self.answered };
        self.sent += 1;
        self.last_sent = Some(now);
        if let Some(window) = &mut self.window {
            window.roll(now, self.unanswered);
            window.current += 1.0;
        }
        self.unanswered += 1;
        permit
    }

    /// Updates the model from the answer to a request.
    pub(crate) fn answer(&mut self, now: Instant, permit: Permit, outcome: Outcome, rate: Option<Rate>) {
        // Requests that the server may or may not have counted before it answered this one.
        let concurrent = self.sent - 1 - permit.answered;
        self.answered += 1;
        self.unanswered = self.unanswered.saturating_sub(1);
        match outcome {
            Outcome::Lost => return,
            Outcome::Taken => {
                self.refusals = 0;
                self.allowance = match self.allowance {
                    Some(allowance) if rate.is_none() && self.refused && allowance < FULL_ALLOWANCE => {
                        Some(allowance * 2)
                    }
                    _ => None,
                };
            }
            Outcome::Refused(retry_after) => self.stop(now, retry_after),
        }
        if let Some(rate) = rate {
            let counted = outcome == Outcome::Taken;
            let unanswered = self.unanswered;
            let window = self.window.get_or_insert_with(|| Window::first(now, &rate, unanswered + 1));
            window.learn(now, &rate, as_f64(concurrent), unanswered, counted);
        } else if let (Some(window), Outcome::Refused(_)) = (&mut self.window, outcome) {
            window.current = (window.current - 1.0).max(0.0);
        }
    }

    fn stop(&mut self, now: Instant, retry_after: Option<Duration>) {
        let own = FIRST_STOP * 2_u32.saturating_pow(self.refusals.min(5));
        // Requests that were in flight together are refused together, which counts as one refusal.
        if self.stopped_until.is_none_or(|until| until <= now) {
            self.refusals = self.refusals.saturating_add(1);
        }
        let until = now + retry_after.unwrap_or(own).clamp(FIRST_STOP, LONGEST_STOP);
        self.stopped_until = Some(self.stopped_until.map_or(until, |old| old.max(until)));
        // Continue with one request, and with more once it is accepted.
        self.refused = true;
        self.allowance = Some(1);
    }

    /// Maximum number of unanswered requests, if limited.
    pub(crate) fn allowance(&self) -> Option<usize> {
        self.allowance.and_then(|allowance| usize::try_from(allowance).ok())
    }

    /// Coder's limit in requests per minute, if there is one.
    pub(crate) fn limit(&self) -> Option<f64> {
        self.window.as_ref().map(|window| window.limit)
    }

    /// Number of requests that could be sent at once, if there is a limit.
    pub(crate) fn remaining(&mut self, now: Instant) -> Option<f64> {
        let window = self.window.as_mut()?;
        window.roll(now, self.unanswered);
        Some((window.limit - window.used(now)).max(0.0))
    }
}

/// The counters of Coder's limiter, as far as they are known here.
#[derive(Debug)]
struct Window {
    limit: f64,
    /// Requests counted in the previous window.
    previous: f64,
    /// Amount subtracted from `previous` in this window, because answers showed that it was too high.
    taken_off: f64,
    /// Requests counted in this window, including unanswered ones.
    current: f64,
    /// The end of this window by the server's clock.
    reset: i64,
    /// The server's clock showed at least `clock` at `seen`.
    clock: f64,
    seen: Instant,
}

impl Window {
    fn first(now: Instant, rate: &Rate, sent: u32) -> Self {
        let clock = rate.date.unwrap_or_default();
        let reset = rate.reset.unwrap_or(clock + seconds(WINDOW));
        Self {
            limit: f64::from(rate.limit),
            previous: 0.0,
            taken_off: 0.0,
            current: f64::from(sent),
            reset,
            clock: as_time(earliest(rate, reset)),
            seen: now,
        }
    }

    /// Earliest possible time of the server's clock.
    fn clock(&self, now: Instant) -> f64 {
        self.clock + now.saturating_duration_since(self.seen).as_secs_f64()
    }

    /// Longest possible rest of this window.
    fn left(&self, now: Instant) -> f64 {
        as_time(self.reset) - self.clock(now)
    }

    fn used(&self, now: Instant) -> f64 {
        self.previous * self.share(now) + self.current
    }

    /// Weight of the previous window.
    fn share(&self, now: Instant) -> f64 {
        (self.left(now) / WINDOW.as_secs_f64()).clamp(0.0, 1.0)
    }

    /// Advances to the window of `now`. Unanswered requests may be counted in either window.
    fn roll(&mut self, now: Instant, unanswered: u32) {
        let over = -self.left(now);
        if over < 0.0 {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a number of windows since the last request")]
        let windows = (over / WINDOW.as_secs_f64()).floor() as i64 + 1;
        self.previous = if windows == 1 { self.current } else { f64::from(unanswered) };
        self.taken_off = 0.0;
        self.current = f64::from(unanswered);
        self.reset += windows * seconds(WINDOW);
    }

    fn learn(&mut self, now: Instant, rate: &Rate, concurrent: f64, unanswered: u32, counted: bool) {
        self.limit = f64::from(rate.limit);
        let reset = rate.reset.unwrap_or(self.reset);
        let earliest = as_time(earliest(rate, reset));
        // A bound from long ago would outlive a correction of the server's clock.
        let stale = now.saturating_duration_since(self.seen) > 2 * WINDOW;
        if earliest > self.clock(now) || stale {
            (self.clock, self.seen) = (earliest, now);
        }
        // The server's clock may have been set back by whole windows, so its answer is used as is.
        if reset < self.reset - 2 * seconds(WINDOW) {
            (self.clock, self.seen, self.reset) = (earliest, now, reset);
        }
        self.roll(now, unanswered + 1);
        // This answer belongs to a window that is over here: it is counted there, and `roll` reserved a place for it in
        // this one as well.
        let earlier = reset < self.reset - seconds(WINDOW) / 2;
        if earlier || !counted {
            self.current = (self.current - 1.0).max(0.0);
        }
        if earlier {
            return;
        }
        let least = self.limit - f64::from(rate.remaining);
        let most = least + concurrent;
        let used = self.used(now);
        if used < least {
            self.add(least - used, self.share(now));
        } else if used > most {
            self.take_off(used - most, self.share(now));
        }
    }

    /// Corrects the model: more is used than it assumed.
    fn add(&mut self, more: f64, share: f64) {
        // The server rounds and its clock is not known exactly. The amount taken off the previous window for this
        // reason is added back first. Added to this window, it would accumulate, and nothing would seem to leave it
        // before its end.
        let back = if share > 0.0 { self.taken_off.min(more / share) } else { 0.0 };
        self.previous += back;
        self.taken_off -= back;
        // Another client sends from our address, or this program did before a restart. The position of those requests
        // in the windows is not known; in this one they stay longest.
        self.current += more - back * share;
    }

    /// Corrects the model: less is used than it assumed.
    fn take_off(&mut self, excess: f64, share: f64) {
        let from_previous = excess.min(self.previous * share);
        if share > 0.0 {
            self.previous -= from_previous / share;
            self.taken_off += from_previous / share;
        }
        self.current = (self.current - (excess - from_previous)).max(0.0);
    }

    /// Time at which one more request fits.
    fn room_at(&self, now: Instant) -> Instant {
        // The server rounds, and its clock is known to a second. Leaving one request of a large limit unused is worth
        // not being refused.
        let margin = if self.limit < 16.0 { 0.0 } else { 1.0 };
        let room = (self.limit - 1.0 - margin).max(0.0);
        if self.used(now) <= room {
            return now;
        }
        let left = self.left(now).max(0.0);
        let wait = if self.current > room || self.previous <= 0.0 {
            left
        } else {
            left - WINDOW.as_secs_f64() * (room - self.current) / self.previous
        };
        // One timer tick more, so that there is room when the timer fires.
        now + Duration::from_secs_f64(wait.clamp(0.0, WINDOW.as_secs_f64())) + Duration::from_millis(1)
    }
}

/// Earliest time of the server's clock at which it can have sent this answer.
fn earliest(rate: &Rate, reset: i64) -> i64 {
    let start = reset - seconds(WINDOW);
    rate.date.map_or(start, |date| date.max(start))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double")]
fn as_time(seconds: i64) -> f64 {
    seconds as f64
}

#[expect(clippy::cast_precision_loss, reason = "a number of requests or agents fits a double")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}
