//! Formatting of durations.

use std::time::Duration;

/// `<1 ms`, `45 ms`, `1.8 s`
pub(crate) fn human(duration: Duration) -> String {
    match duration.as_micros() {
        0..1_000 => "<1 ms".to_owned(),
        1_000..999_500 => format!("{:.0} ms", duration.as_secs_f64() * 1_000.0),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (microseconds, text) in
            [(0, "<1 ms"), (999, "<1 ms"), (1_400, "1 ms"), (45_600, "46 ms"), (999_600, "1.0 s"), (1_840_000, "1.8 s")]
        {
            assert_eq!(human(Duration::from_micros(microseconds)), text);
        }
    }
}
