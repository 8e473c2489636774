//! The generated part of the document.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::table::{growth, table};
use crate::record::Record;
use crate::scenario::Scenario;

const BEGIN: &str = "<!-- benchmarks: begin -->";
const END: &str = "<!-- benchmarks: end -->";

/// Replaces the text between the marks.
pub(super) fn replace(document: &str, generated: &str) -> Result<String> {
    let (before, rest) = document.split_once(BEGIN).with_context(|| format!("no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("no line {END} after {BEGIN}"))?;
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", generated.trim()))
}

/// A section for each scenario: its table, its growth, its plots and its conditions.
pub(super) fn generated(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        let about = Scenario::ALL.into_iter().find(|scenario| scenario.name() == record.scenario);
        let title = about.map_or_else(|| record.scenario.as_str(), |scenario| scenario.about());
        let _ = writeln!(text, "### `{}`: {title}\n\n{}", record.scenario, table(&[record]));
        for grown in &record.growth {
            let _ = writeln!(text, "{}, medians:\n\n{}", grown.title, growth(grown));
        }
        for plot in &record.plots {
            let _ = writeln!(text, "![{}](performance/{}.svg)\n", plot.title, plot.name);
        }
        let mut conditions = vec![record.conditions.text()];
        conditions.extend(record.notes.iter().cloned());
        let _ = writeln!(text, "Measured on {}.\n", conditions.join("; "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let document = format!("# By hand\n\n{BEGIN}\nold\n{END}\n\nAlso by hand\n");
        let replaced = replace(&document, "new\n").unwrap();
        assert_eq!(replaced, format!("# By hand\n\n{BEGIN}\n\nnew\n\n{END}\n\nAlso by hand\n"));
        assert_eq!(replace(&replaced, "new\n").unwrap(), replaced, "a second time changes nothing");
        assert!(replace("no marks", "new").is_err());
    }
}
