//! Stored results of a scenario.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::machine::Conditions;
use crate::stats::{Sorted, round};

/// Unit of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Ratio,
    Millis,
    Seconds,
    Micros,
    Megabytes,
    Kilobytes,
    Percent,
    PerSecond,
    Count,
}

impl Unit {
    /// The unit as printed after a number.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Ratio => "×",
            Self::Millis => " ms",
            Self::Seconds => " s",
            Self::Micros => " µs",
            Self::Megabytes => " MB",
            Self::Kilobytes => " KB",
            Self::Percent => " %",
            Self::PerSecond => " /s",
            Self::Count => "",
        }
    }
}

/// Target of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Must {
    AtMost(f64),
    AtLeast(f64),
    /// No target: it explains another measurement.
    Shown,
}

impl Must {
    /// Returns true if the value meets the target; `None` without a target.
    pub(crate) fn holds(self, value: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(value <= most),
            Self::AtLeast(least) => Some(value >= least),
            Self::Shown => None,
        }
    }
}

/// A measurement, with its value in each run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) must: Must,
    pub(crate) runs: Vec<f64>,
}

impl Measurement {
    pub(crate) fn sorted(&self) -> Sorted {
        Sorted::new(self.runs.clone())
    }

    /// Number of runs that met the target, and number of all runs; `None` without a target.
    pub(crate) fn reached(&self) -> Option<(usize, usize)> {
        let held = self.runs.iter().map(|&value| self.must.holds(value)).collect::<Option<Vec<_>>>()?;
        Some((held.iter().filter(|&&held| held).count(), held.len()))
    }
}

/// Growth with size: the values of each column in the runs of each size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Growth {
    pub(crate) title: String,
    /// Unit of the sizes, such as workspaces.
    pub(crate) of: String,
    pub(crate) cells: Vec<Cell>,
}

/// The values of one column at one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) size: usize,
    pub(crate) column: String,
    pub(crate) unit: Unit,
    pub(crate) runs: Vec<f64>,
}

/// An axis of a plot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) logarithmic: bool,
}

impl Axis {
    pub(crate) fn linear(label: &str) -> Self {
        Self { label: label.to_owned(), logarithmic: false }
    }

    pub(crate) fn logarithmic(label: &str) -> Self {
        Self { label: label.to_owned(), logarithmic: true }
    }
}

/// A line of a plot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A plot, drawn into `NAME.svg`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plot {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
}

/// All results of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) scenario: String,
    pub(crate) conditions: Conditions,
    pub(crate) notes: Vec<String>,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) growth: Vec<Growth>,
    pub(crate) plots: Vec<Plot>,
}

impl Record {
    pub(crate) fn new(scenario: &str, conditions: Conditions) -> Self {
        Self {
            scenario: scenario.to_owned(),
            conditions,
            notes: Vec::new(),
            measurements: Vec::new(),
            growth: Vec::new(),
            plots: Vec::new(),
        }
    }

    /// Adds the value of one run to a measurement, which is created by its first value.
    pub(crate) fn add(&mut self, what: &str, unit: Unit, must: Must, value: f64) {
        println!("    {what}: {}{}", round(value), unit.text());
        match self.measurements.iter_mut().find(|measurement| measurement.what == what) {
            Some(measurement) => measurement.runs.push(round(value)),
            None => {
                self.measurements.push(Measurement { what: what.to_owned(), unit, must, runs: vec![round(value)] });
            }
        }
    }

    /// Adds a note on this scenario's conditions, unless it has it already.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            println!("    {note}");
            self.notes.push(note);
        }
    }

    /// Adds the value of one run at a size.
    pub(crate) fn grow(&mut self, (title, of): (&str, &str), size: usize, column: &str, unit: Unit, value: f64) {
        let value = round(value);
        println!("    {size} {of}, {column}: {value}{}", unit.text());
        let at = self.growth.iter().position(|growth| growth.title == title).unwrap_or_else(|| {
            self.growth.push(Growth { title: title.to_owned(), of: of.to_owned(), cells: Vec::new() });
            self.growth.len() - 1
        });
        let cells = &mut self.growth[at].cells;
        match cells.iter_mut().find(|cell| cell.size == size && cell.column == column) {
            Some(cell) => cell.runs.push(value),
            None => cells.push(Cell { size, column: column.to_owned(), unit, runs: vec![value] }),
        }
    }

    /// Medians of a growth's column by size, for a plot.
    pub(crate) fn grown(&self, title: &str, column: &str) -> Vec<(f64, f64)> {
        let cells = self.growth.iter().filter(|growth| growth.title == title).flat_map(|growth| &growth.cells);
        let point = |cell: &Cell| (cell.size as f64, round(Sorted::new(cell.runs.clone()).median()));
        cells.filter(|cell| cell.column == column).map(point).collect()
    }

    /// Writes `SCENARIO.json` into a directory.
    pub(crate) fn save(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)?;
        let text = serde_json::to_string_pretty(self)?;
        fs::write(directory.join(format!("{}.json", self.scenario)), flat(&text) + "\n")?;
        Ok(())
    }

    /// Reads `SCENARIO.json`; `None` if there is none.
    pub(crate) fn load(directory: &Path, scenario: &str) -> Result<Option<Self>> {
        let path = directory.join(format!("{scenario}.json"));
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path)?;
        serde_json::from_str(&text).map(Some).with_context(|| path.display().to_string())
    }
}

/// Puts lists of numbers on one line, for readable files.
fn flat(pretty: &str) -> String {
    let mut text = String::with_capacity(pretty.len());
    let mut lines = pretty.lines().peekable();
    while let Some(line) = lines.next() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
        let number = |line: &str| line.trim().trim_end_matches(',').parse::<f64>().is_ok();
        let mut within = false;
        while line.trim_end().ends_with('[') && lines.peek().is_some_and(|next| number(next)) {
            if within {
                text.push(' ');
            }
            within = true;
            text.push_str(lines.next().unwrap_or_default().trim());
        }
        if within && let Some(end) = lines.next() {
            text.push_str(end.trim());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn met_targets_are_counted_over_the_runs() {
        let measurement =
            |must, runs: &[f64]| Measurement { what: String::new(), unit: Unit::Ratio, must, runs: runs.to_vec() };
        assert_eq!(measurement(Must::AtMost(1.2), &[1.0, 1.2, 1.21]).reached(), Some((2, 3)));
        assert_eq!(measurement(Must::AtLeast(0.8), &[0.8, 0.7]).reached(), Some((1, 2)));
        assert_eq!(measurement(Must::Shown, &[1.0]).reached(), None);
    }

    #[test]
    fn records_are_read_back_as_written() {
        let directory = logstream_testing::scratch::Scratch::create("record").unwrap();
        assert_eq!(Record::load(directory.path(), "x").unwrap(), None);
        let mut record = Record::new("x", Conditions::default());
        record.add("a", Unit::Millis, Must::AtMost(1.0), 0.5);
        record.add("a", Unit::Millis, Must::AtMost(1.0), 0.6);
        record.grow(("t", "pods"), 10, "c", Unit::Count, 1.0);
        let (x, y) = (Axis::linear("x"), Axis::logarithmic("y"));
        let series = vec![Series { name: "s".into(), points: vec![(1.0, 2.0), (2.0, 3.5)] }];
        record.plots.push(Plot { name: "p".into(), title: "t".into(), x, y, series });
        record.save(directory.path()).unwrap();
        assert_eq!(Record::load(directory.path(), "x").unwrap().unwrap(), record);
        assert_eq!(record.measurements[0].runs, [0.5, 0.6]);
    }
}
