//! The rate limit state in an answer's headers.

use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, HeaderName};
use serde::Deserialize;

/// A successful answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answer {
    /// State of the rate limit after this request; `None` if Coder has none.
    pub rate: Option<Rate>,
}

/// State of Coder's rate limiter (go-chi/httprate), which is in every answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Limit of requests per window, which is a minute in Coder.
    pub limit: u32,
    /// Remaining requests after this one.
    pub remaining: u32,
    /// End of the current window, in seconds since 1970 by the server's clock.
    pub reset: Option<i64>,
    /// Time of the answer by the server's clock, in whole seconds: `reset` minus this does not depend on the local
    /// clock.
    pub date: Option<i64>,
}

/// Earliest reset that is a time, in seconds since 1970. A smaller one is a number of seconds from now, as some proxies
/// write it.
const EARLIEST_TIME: i64 = 1_000_000_000;
/// Latest reset that is in seconds, in the year 5138. A larger one is in another unit.
const LATEST_TIME: i64 = 100_000_000_000;
/// Maximum distance in seconds between a reset and the answer's own date. A window is a minute long; a reset farther
/// away was written by another clock, or in another unit.
const FARTHEST_RESET: u64 = 3_600;

impl Rate {
    /// Reads the headers; `None` unless both the limit and the remaining count are present.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let limit = u32::try_from(number(headers, &LIMIT)?).ok().filter(|limit| *limit > 0)?;
        // httprate can count below zero if its limit was lowered for one caller.
        let remaining = u32::try_from(number(headers, &REMAINING)?.max(0)).ok()?;
        let date = date(headers);
        let reset = match (number(headers, &RESET), date) {
            (Some(time), _) if time >= EARLIEST_TIME => Some(time),
            (Some(distance), Some(date)) => Some(date.saturating_add(distance)),
            _ => None,
        };
        let reset = reset.filter(|reset| match date {
            Some(date) => reset.abs_diff(date) <= FARTHEST_RESET,
            None => *reset <= LATEST_TIME,
        });
        Some(Self { limit, remaining, reset, date })
    }
}

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

pub(super) fn date(headers: &HeaderMap) -> Option<i64> {
    let zoned = rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(zoned.timestamp().as_second())
}

/// Answer to `GET buildinfo`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BuildInfo {
    /// Coder's version, such as `v2.30.1+abc123`.
    pub version: String,
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn the_headers_of_httprate_are_read() {
        let rate = Rate::read(&headers(&[
            ("x-ratelimit-limit", "512"),
            ("x-ratelimit-remaining", "511"),
            ("x-ratelimit-reset", "1784541660"),
            ("date", "Mon, 20 Jul 2026 10:00:07 GMT"),
        ]));
        let date = Some(1_784_541_607);
        assert_eq!(rate, Some(Rate { limit: 512, remaining: 511, reset: Some(1_784_541_660), date }));
    }

    #[test]
    fn a_reset_as_a_distance_is_read_as_a_time() {
        let rate = Rate::read(&headers(&[
            ("x-ratelimit-limit", "10"),
            ("x-ratelimit-remaining", "-2"),
            ("x-ratelimit-reset", "30"),
            ("date", "Mon, 20 Jul 2026 10:00:07 GMT"),
        ]))
        .unwrap();
        assert_eq!((rate.remaining, rate.reset), (0, Some(1_784_541_637)));
    }

    #[test]
    fn a_reset_that_is_no_time_is_ignored() {
        let reset = |reset, date| {
            let pairs = [("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", reset)];
            let mut headers = headers(&pairs);
            if let Some(date) = date {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            Rate::read(&headers).unwrap().reset
        };
        let date = Some("Mon, 20 Jul 2026 10:00:07 GMT");
        let absurd = ["9223372036854775807", "-9223372036854775808", "1784541660000", "NaN", "1e9", "9999999", ""];
        for text in absurd {
            assert_eq!(reset(text, date), None, "{text}");
        }
        for text in ["9223372036854775807", "-1", "NaN", "30"] {
            assert_eq!(reset(text, None), None, "{text}");
        }
        assert_eq!(reset("1784541660", None), Some(1_784_541_660));
    }

    #[test]
    fn without_a_limit_there_is_no_rate() {
        assert_eq!(Rate::read(&headers(&[("x-ratelimit-remaining", "5")])), None);
        assert_eq!(Rate::read(&headers(&[("x-ratelimit-limit", "0"), ("x-ratelimit-remaining", "0")])), None);
        assert_eq!(Rate::read(&headers(&[("x-ratelimit-limit", "many"), ("x-ratelimit-remaining", "5")])), None);
    }
}
