//! Generation of the document and its plots from the records.

mod document;
mod plot;
mod scale;
mod table;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::args::Args;
use crate::programs::WORKSPACE;
use crate::record::Record;
use crate::scenario::Scenario;
pub(crate) use table::table;

/// The document, in the workspace.
const DOCUMENT: &str = "docs/performance.md";

/// Draws every plot of the existing records and writes their tables into the document.
pub(crate) fn write(args: &Args) -> Result<()> {
    let Some(directory) = args.directory() else { return Ok(()) };
    let records = Scenario::ALL.iter().map(|scenario| Record::load(&directory, scenario.name()));
    let records: Vec<Record> = records.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    for plot in records.iter().flat_map(|record| &record.plots) {
        fs::write(directory.join(format!("{}.svg", plot.name)), plot::svg(plot))?;
    }
    if args.no_write {
        return Ok(());
    }
    let path = Path::new(WORKSPACE).join(DOCUMENT);
    let before = fs::read_to_string(&path).context(DOCUMENT)?;
    let after = document::replace(&before, &document::generated(&records))?;
    fs::write(&path, after)?;
    println!("written: {DOCUMENT}, {}", directory.display());
    Ok(())
}
