//! Durations.

use std::time::Duration;

use jiff::SignedDuration;

/// Longest grace period.
const LONGEST: Duration = Duration::from_mins(10);

/// Shortest Lease. A slow API server would end a shorter one.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

/// Shortest lifetime of a certificate. A shorter one would be renewed before all replicas have seen it.
const SHORTEST_LIFE: Duration = Duration::from_secs(5);
/// Longest lifetime: twenty years.
const LONGEST_LIFE: Duration = Duration::from_hours(20 * 365 * 24);

/// A duration up to ten minutes, such as `20s`, `1m30s` or `500ms`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let total = total(text)?;
    if total > LONGEST { Err("which is too long".to_owned()) } else { Ok(total) }
}

/// A duration of a Lease.
pub(crate) fn lease(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        total if total < SHORTEST_LEASE => Err("which is too short".to_owned()),
        total => Ok(total),
    }
}

/// A lifetime of a certificate.
pub(crate) fn lifetime(text: &str) -> Result<Duration, String> {
    match total(text)? {
        total if total > LONGEST_LIFE => Err("which is too long".to_owned()),
        total if total < SHORTEST_LIFE => Err("which is too short".to_owned()),
        total => Ok(total),
    }
}

fn total(text: &str) -> Result<Duration, String> {
    let total: SignedDuration = text.parse().map_err(|_| "which is not a duration".to_owned())?;
    Duration::try_from(total).map_err(|_| "which is negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_add_up() {
        let durations =
            [("20s", 20_000), ("1m30s", 90_000), ("1.5s", 1_500), ("500ms", 500), ("0s", 0), ("10m", 600_000)];
        for (text, milliseconds) in durations {
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
            ("20", "which is not a duration"),
            ("s", "which is not a duration"),
            ("3d", "which is not a duration"),
            ("-5s", "which is negative"),
            ("11m", "which is too long"),
            ("99999999999s", "which is too long"),
            ("4000000000h", "which is too long"),
            ("4000000000000000h", "which is not a duration"),
        ] {
            assert_eq!(parse(text), Err(problem.to_owned()), "{text}");
        }
    }
}
