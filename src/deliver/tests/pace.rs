//! The rate limiter alone, against a copy of Coder's limiter.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::{Instant, advance};

use super::limiter::Limiter;
use crate::{
    coder::Rate,
    deliver::rate::limiter::{Outcome, RateLimiter},
};

/// Simulates a sender that always has something to send, with one request in flight after the other. Returns the send
/// times of the accepted requests.
async fn send_all(pace: &mut RateLimiter, limiter: &mut Limiter, length: Duration, latency: Duration) -> Vec<Instant> {
    let end = Instant::now() + length;
    let mut sent = Vec::new();
    while Instant::now() < end {
        let now = Instant::now();
        match pace.ready_at(now) {
            at if at <= now => {
                let permit = pace.send(now);
                advance(latency / 2).await;
                let answer = limiter.request(Instant::now());
                advance(latency / 2).await;
                match answer {
                    Ok(rate) => {
                        sent.push(now);
                        pace.answer(Instant::now(), permit, Outcome::Taken, Some(rate));
                    }
                    Err(rate) => {
                        let outcome = Outcome::Refused(Some(Duration::from_mins(1)));
                        pace.answer(Instant::now(), permit, outcome, Some(rate));
                    }
                }
            }
            at => advance(at - now).await,
        }
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn it_uses_the_whole_limit_and_is_never_refused() {
    for into_window in [0, 1, 17, 30, 59] {
        let mut limiter = Limiter::new(512, Duration::from_secs(into_window));
        let mut pace = RateLimiter::new();
        let minutes = 10;
        let length = Duration::from_secs(60 * minutes);
        let sent = send_all(&mut pace, &mut limiter, length, Duration::from_millis(3)).await.len();
        assert_eq!(limiter.refused, 0, "{into_window} s into a window");
        // The first window can be used at once, and then each minute allows its limit: the rest of the first window
        // adds nothing.
        let allowed = 512.0 * (1.0 + (60.0 * 10.0 - (60.0 - f64::from(u32::try_from(into_window).unwrap()))) / 60.0);
        assert!(sent as f64 >= allowed * 0.95, "{into_window} s into a window: {sent} of {allowed}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_go_evenly_once_a_whole_window_is_used_up() {
    for into_millis in [300, 15_250, 31_700, 58_600] {
        let mut limiter = Limiter::new(512, Duration::from_millis(into_millis));
        // The first window may be used at once. If it was cut short, its rest may be used at once in the second.
        let even = Instant::now() + Duration::from_millis(120_000 - into_millis);
        let (length, latency) = (Duration::from_mins(7), Duration::from_millis(30));
        let sent = send_all(&mut RateLimiter::new(), &mut limiter, length, latency).await;
        assert_eq!(limiter.refused, 0, "{into_millis} ms into a window");
        let longest = sent.windows(2).filter(|pair| pair[0] > even).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest < Duration::from_secs(1), "{into_millis} ms into a window: {longest:?} without a request");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_of_a_busy_window_is_not_refused() {
    let mut limiter = Limiter::new(512, Duration::from_secs(10));
    send_all(&mut RateLimiter::new(), &mut limiter, Duration::from_secs(100), Duration::from_millis(3)).await;
    // A new process does not know the old one's requests. Its first one may be refused.
    let mut pace = RateLimiter::new();
    let before = limiter.refused;
    send_all(&mut pace, &mut limiter, Duration::from_mins(5), Duration::from_millis(3)).await;
    assert!(limiter.refused <= before + 1, "{} refusals", limiter.refused);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stops_it_until_retry_after_and_then_it_asks_with_one() {
    let mut pace = RateLimiter::new();
    let start = Instant::now();
    let passes: Vec<_> = (0..3).map(|_| pace.send(start)).collect();
    for permit in passes {
        pace.answer(start, permit, Outcome::Refused(Some(Duration::from_secs(7))), None);
    }
    assert_eq!(pace.ready_at(start), start + Duration::from_secs(7));
    advance(Duration::from_secs(7)).await;
    let now = Instant::now();
    assert_eq!(pace.ready_at(now), now);
    let permit = pace.send(now);
    assert_eq!(pace.ready_at(now), now + Duration::from_millis(250), "one at first, or slowly");
    pace.answer(now, permit, Outcome::Taken, None);
    let _ = pace.send(now);
    assert_eq!(pace.ready_at(now), now, "then more");
}

#[tokio::test(start_paused = true)]
async fn refusals_without_retry_after_stop_it_for_longer_each_time() {
    let mut pace = RateLimiter::new();
    let mut stops = Vec::new();
    for _ in 0..4 {
        let now = Instant::now();
        let permit = pace.send(now);
        pace.answer(now, permit, Outcome::Refused(None), None);
        let until = pace.ready_at(now);
        stops.push((until - now).as_secs());
        advance(until - now).await;
    }
    assert_eq!(stops, [1, 2, 4, 8]);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nothing_is_paced() {
    let mut pace = RateLimiter::new();
    let now = Instant::now();
    for _ in 0..32 {
        let permit = pace.send(now);
        pace.answer(now, permit, Outcome::Taken, None);
    }
    for _ in 0..10_000 {
        assert_eq!(pace.ready_at(now), now);
        let _ = pace.send(now);
    }
    assert_eq!((pace.limit(), pace.remaining(now)), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    /// Clocks that are set, differ between replicas, or make no sense: there is always a time for the next request.
    #[test]
    fn no_answer_stops_the_pace_for_long(
        answers in prop::collection::vec(
            (
                any::<u32>(),
                any::<u32>(),
                prop::option::of(0_i64..253_402_300_800),
                prop::option::of(-3_600_i64..=3_600),
                0_u64..200_000,
                prop::option::of(any::<u64>()),
            ),
            1..40,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut pace = RateLimiter::new();
            for (limit, remaining, date, reset, wait, refused) in answers {
                let rate = Rate {
                    limit: limit.max(1),
                    remaining,
                    date,
                    reset: reset.map(|reset| date.unwrap_or(100_000_000_000) + reset),
                };
                let permit = pace.send(Instant::now());
                let outcome = match refused {
                    Some(seconds) => Outcome::Refused(Some(Duration::from_secs(seconds))),
                    None => Outcome::Taken,
                };
                pace.answer(Instant::now(), permit, outcome, Some(rate));
                let now = Instant::now();
                let at = pace.ready_at(now);
                assert!(at <= now + Duration::from_secs(121), "{:?}", at - now);
                let remaining = pace.remaining(now).unwrap();
                assert!(remaining.is_finite() && remaining >= 0.0, "{remaining}");
                advance(Duration::from_millis(wait)).await;
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    /// Bursts and pauses, with many requests in flight that are answered in any order: no request is refused, as long
    /// as no other client sends any.
    #[test]
    fn no_pattern_of_requests_is_refused(
        limit in 40_u32..600,
        into_window in 0_u64..60_000,
        latency in 1_u64..400,
        steps in prop::collection::vec((0_u64..20_000, 1_usize..700, any::<u64>()), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut limiter = Limiter::new(limit, Duration::from_millis(into_window));
            let mut pace = RateLimiter::new();
            for (wait, wanted, seed) in steps {
                advance(Duration::from_millis(wait)).await;
                let mut random = fastrand::Rng::with_seed(seed);
                let mut left = wanted;
                while left > 0 {
                    let now = Instant::now();
                    let mut passes = Vec::new();
                    while left > 0 && pace.ready_at(now) <= now {
                        passes.push(pace.send(now));
                        left -= 1;
                    }
                    if passes.is_empty() {
                        let at = pace.ready_at(now);
                        advance(at - now).await;
                        continue;
                    }
                    advance(Duration::from_millis(latency / 2)).await;
                    random.shuffle(&mut passes);
                    let mut answers: Vec<_> =
                        passes.into_iter().map(|permit| (permit, limiter.request(Instant::now()))).collect();
                    random.shuffle(&mut answers);
                    for (permit, answer) in answers {
                        advance(Duration::from_millis(random.u64(0..=latency / 10))).await;
                        let rate = answer.unwrap_or_else(|rate| rate);
                        pace.answer(Instant::now(), permit, Outcome::Taken, Some(rate));
                    }
                }
            }
            assert_eq!(limiter.refused, 0);
        });
    }
}
