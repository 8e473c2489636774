//! Mapping of values to positions on an axis.

/// The range of values of an axis, linear or logarithmic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    logarithmic: bool,
    low: f64,
    high: f64,
}

impl Scale {
    /// A range that contains all values, with round ends. A linear one begins at 0.
    pub(super) fn of(values: impl Iterator<Item = f64> + Clone, logarithmic: bool) -> Self {
        let high = values.clone().fold(f64::MIN_POSITIVE, f64::max);
        if !logarithmic {
            let step = step(high);
            return Self { logarithmic, low: 0.0, high: (high / step).ceil() * step };
        }
        let low = values.filter(|&value| value > 0.0).fold(high, f64::min);
        // A little room, so that one size alone has an axis too.
        Self { logarithmic, low: low / 1.1, high: high * 1.1 }
    }

    /// Position of a value, from 0 to 1.
    pub(super) fn place(self, value: f64) -> f64 {
        let Self { low, high, .. } = self;
        if self.logarithmic { (value.max(low) / low).ln() / (high / low).ln() } else { (value - low) / (high - low) }
    }

    /// Values of the axis marks.
    pub(super) fn marks(self) -> Vec<f64> {
        let Self { low, high, .. } = self;
        if !self.logarithmic {
            let step = step(high);
            let steps = (high / step).round() as u32;
            return (0..=steps).map(|n| f64::from(n) * step).collect();
        }
        let decades = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
        let all = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(decade)));
        all.filter(|&mark| (low..=high).contains(&mark)).collect()
    }
}

/// A round step that divides the range into four to ten parts.
fn step(high: f64) -> f64 {
    let power = 10_f64.powf((high / 5.0).log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| high / (times * power) <= 6.0);
    times.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_begins_at_nothing_and_ends_round() {
        let scale = Scale::of([3.0, 27.5].into_iter(), false);
        assert_eq!(scale.marks(), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!((scale.place(0.0), scale.place(15.0), scale.place(30.0)), (0.0, 0.5, 1.0));
    }

    #[test]
    fn a_logarithmic_axis_has_marks_in_each_decade() {
        let scale = Scale::of([100.0, 10_000.0].into_iter(), true);
        assert_eq!(scale.marks(), [100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0]);
        assert!((scale.place(1_000.0) - 0.5).abs() < 1e-9);
        assert!(!Scale::of([7.0].into_iter(), true).place(7.0).is_nan());
    }
}
