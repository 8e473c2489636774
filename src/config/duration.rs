//! Durations.

use std::time::Duration;

/// Longest grace period.
const LONGEST: Duration = Duration::from_mins(10);

/// Shortest Lease. A slow API server would end a shorter one.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

/// Shortest lifetime of a certificate. A shorter one would be renewed before all replicas have seen it.
const SHORTEST_LIFE: Duration = Duration::from_secs(5);
/// Longest lifetime: twenty years.
const LONGEST_LIFE: Duration = Duration::from_hours(20 * 365 * 24);

/// `20s`, `1m30s`, `500ms`: whole numbers, each with its unit, from nothing to ten minutes.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let total = total(text)?;
    if total > LONGEST { Err("which is too long".to_owned()) } else { Ok(total) }
}

/// The same, as long as a Lease may last.
pub(crate) fn lease(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        total if total < SHORTEST_LEASE => Err("which is too short".to_owned()),
        total => Ok(total),
    }
}

/// The same, as long as a certificate may live.
pub(crate) fn lifetime(text: &str) -> Result<Duration, String> {
    match total(text)? {
        total if total > LONGEST_LIFE => Err("which is too long".to_owned()),
        total if total < SHORTEST_LIFE => Err("which is too short".to_owned()),
        total => Ok(total),
    }
}

fn total(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err("which is empty".to_owned());
    }
    while !rest.is_empty() {
        let (number, after) = split_at_change(rest, |letter| letter.is_ascii_digit());
        let (unit, after) = split_at_change(after, |letter| letter.is_ascii_alphabetic());
        if number.is_empty() {
            return Err("which is not whole numbers with units".to_owned());
        }
        let number: u32 = number.parse().map_err(|_| "which is too long".to_owned())?;
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            "" => return Err(format!("where {number} has no unit")),
            other => return Err(format!("where {other:?} is not one of the units ms, s, m and h")),
        };
        total = total.saturating_add(unit.saturating_mul(number));
        rest = after;
    }
    Ok(total)
}

fn split_at_change(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter| !belongs(letter)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_add_up() {
        for (text, milliseconds) in [("20s", 20_000), ("1m30s", 90_000), ("500ms", 500), ("0s", 0), ("10m", 600_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn a_certificate_lives_from_seconds_to_years() {
        assert_eq!(lifetime("720h0m0s"), Ok(Duration::from_hours(720)));
        assert_eq!(lifetime("175200h"), Ok(LONGEST_LIFE));
        assert_eq!(lifetime("175201h"), Err("which is too long".to_owned()));
        assert_eq!(lifetime("4s"), Err("which is too short".to_owned()));
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, problem) in [
            ("20", "where 20 has no unit"),
            ("20 s", "where 20 has no unit"),
            ("1.5s", "where 1 has no unit"),
            ("-5s", "which is not whole numbers with units"),
            ("s", "which is not whole numbers with units"),
            ("3d", "where \"d\" is not one of the units ms, s, m and h"),
            ("11m", "which is too long"),
            ("99999999999s", "which is too long"),
            ("4000000000h", "which is too long"),
        ] {
            assert_eq!(parse(text), Err(problem.to_owned()), "{text}");
        }
    }
}
