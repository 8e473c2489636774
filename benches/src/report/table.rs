//! Tables in Markdown.

use std::fmt::Write;

use crate::record::{Growth, Measurement, Must, Record};
use crate::stats::{Sorted, round, thousands};

/// A row for each measurement.
pub(crate) fn table(records: &[&Record]) -> String {
    let mut text = "| what | must reach | min | median | max | reached |\n|---|---|---:|---:|---:|---|\n".to_owned();
    for measurement in records.iter().flat_map(|record| &record.measurements) {
        text += &row(measurement);
    }
    text
}

fn row(measurement: &Measurement) -> String {
    let unit = measurement.unit.text();
    let sorted = measurement.sorted();
    let must = match measurement.must {
        Must::AtMost(most) => format!("at most {most}{unit}"),
        Must::AtLeast(least) => format!("at least {least}{unit}"),
        Must::Shown => "–".to_owned(),
    };
    let reached = match measurement.reached() {
        None => String::new(),
        Some((held, all)) if held == all => "yes".to_owned(),
        Some((0, _)) => "**no**".to_owned(),
        Some((held, all)) => format!("in {held} of {all} runs"),
    };
    let [min, median, max] =
        [sorted.min(), sorted.median(), sorted.max()].map(|value| format!("{}{unit}", round(value)));
    format!("| {} | {must} | {min} | {median} | {max} | {reached} |\n", measurement.what)
}

/// A row for each size, with the medians.
pub(crate) fn growth(growth: &Growth) -> String {
    let (mut columns, mut sizes) = (Vec::new(), Vec::new());
    for cell in &growth.cells {
        if !columns.contains(&cell.column.as_str()) {
            columns.push(cell.column.as_str());
        }
        sizes.push(cell.size);
    }
    sizes.sort_unstable();
    sizes.dedup();
    let mut text = format!("| {} | {} |\n|---:|{}\n", growth.of, columns.join(" | "), "---:|".repeat(columns.len()));
    for size in sizes {
        let _ = write!(text, "| {} |", thousands(size));
        for column in &columns {
            let cell = growth.cells.iter().find(|cell| cell.size == size && cell.column == *column);
            let shown = cell.map_or_else(String::new, |cell| {
                format!("{}{}", round(Sorted::new(cell.runs.clone()).median()), cell.unit.text())
            });
            let _ = write!(text, " {shown} |");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Conditions;
    use crate::record::Unit;

    #[test]
    fn a_row_has_the_spread_and_a_verdict() {
        let mut record = Record::new("x", Conditions::default());
        for value in [1.3, 1.1, 1.25] {
            record.add("event", Unit::Ratio, Must::AtMost(1.2), value);
            record.add("size", Unit::Megabytes, Must::AtMost(12.0), 13.0);
            record.add("p50", Unit::Millis, Must::Shown, value);
        }
        let table = table(&[&record]);
        assert!(table.contains("| event | at most 1.2× | 1.1× | 1.25× | 1.3× | in 1 of 3 runs |\n"), "{table}");
        assert!(table.contains("| size | at most 12 MB | 13 MB | 13 MB | 13 MB | **no** |\n"), "{table}");
        assert!(table.ends_with("| p50 | – | 1.1 ms | 1.25 ms | 1.3 ms |  |\n"), "{table}");
    }

    #[test]
    fn a_growth_has_a_row_for_each_size() {
        let mut record = Record::new("x", Conditions::default());
        let of = ("Memory", "workspaces");
        record.grow(of, 1_000, "peak", Unit::Megabytes, 20.0);
        record.grow(of, 1_000, "peak", Unit::Megabytes, 22.0);
        record.grow(of, 100, "peak", Unit::Megabytes, 15.0);
        record.grow(of, 1_000, "each", Unit::Kilobytes, 3.0);
        let shown = growth(&record.growth[0]);
        let rows = "| 100 | 15 MB |  |\n| 1,000 | 21 MB | 3 KB |\n";
        assert_eq!(shown, format!("| workspaces | peak | each |\n|---:|---:|---:|\n{rows}"));
    }
}
