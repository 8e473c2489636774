//! Statistics.

use std::time::Duration;

/// Sorted values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sorted(Vec<f64>);

impl Sorted {
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// Sorted durations in milliseconds.
    pub(crate) fn millis(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::new(times.into_iter().map(millis).collect())
    }

    /// The smallest value that is not exceeded by at least this share of all values; 0 without values.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil().max(1.0) as usize;
        self.0.get(rank.min(self.0.len()).saturating_sub(1)).copied().unwrap_or_default()
    }

    pub(crate) fn p50(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    pub(crate) fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    pub(crate) fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    /// The median: for an even number, the mean of the two middle values, where [`Sorted::p50`] takes the lower one.
    pub(crate) fn median(&self) -> f64 {
        let (lower, upper) = (self.0.len().saturating_sub(1) / 2, self.0.len() / 2);
        match (self.0.get(lower), self.0.get(upper)) {
            (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
            _ => 0.0,
        }
    }

    /// Quantiles for a plot: values and the percentage of values up to each.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        let whole = (1..100).map(f64::from);
        whole.chain([99.5, 99.9]).map(|percent| (round(self.quantile(percent / 100.0)), percent)).collect()
    }
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Rounds to four significant digits.
pub(crate) fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

/// Formats with thousands separators: `10,000`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(n: u32) -> Sorted {
        Sorted::new((1..=n).rev().map(f64::from).collect())
    }

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let hundred = to(100);
        let seen = [hundred.min(), hundred.p50(), hundred.p99(), hundred.quantile(0.995), hundred.max()];
        assert_eq!(seen, [1.0, 50.0, 99.0, 100.0, 100.0]);
        assert_eq!((to(1).p50(), to(1).p99(), to(2).p99()), (1.0, 1.0, 2.0));
        assert_eq!((Sorted::default().p50(), Sorted::default().max()), (0.0, 0.0));
    }

    #[test]
    fn the_median_of_an_even_number_is_between_two() {
        assert_eq!((to(3).median(), to(4).median(), Sorted::default().median()), (2.0, 2.5, 0.0));
    }

    #[test]
    fn four_digits_are_kept() {
        assert_eq!([1.234_56, 0.001_234_56, 123_456.0, 0.0].map(round), [1.235, 0.001_235, 123_500.0, 0.0]);
    }

    #[test]
    fn large_numbers_are_readable() {
        assert_eq!([7, 999, 1_000, 1_234_567].map(thousands), ["7", "999", "1,000", "1,234,567"]);
    }
}
