//! Selection of the lines that are delivered.

use std::collections::BTreeSet;
use std::fmt;

use logstream_core::line::Level;

/// Maximum length of an Event's reason, as the API server checks it, in bytes.
const LONGEST_REASON: usize = 128;

/// Selects the lines that are delivered. The default delivers all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LineFilter {
    /// Lines below this level are not delivered.
    pub min_level: Level,
    /// Lines with one of these Kubernetes reasons are not delivered.
    pub skipped_reasons: BTreeSet<String>,
}

impl Default for LineFilter {
    fn default() -> Self {
        Self { min_level: Level::Debug, skipped_reasons: BTreeSet::new() }
    }
}

impl LineFilter {
    /// True if a line of this level and reason is delivered.
    pub fn delivers(&self, level: Level, reason: Option<&str>) -> bool {
        level >= self.min_level && reason.is_none_or(|reason| !self.skipped_reasons.contains(reason))
    }
}

impl fmt::Display for LineFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<&str> = self.skipped_reasons.iter().map(String::as_str).collect();
        let reasons = if reasons.is_empty() { "none".to_owned() } else { reasons.join(",") };
        write!(formatter, "min_level={} skip_reasons={reasons}", self.min_level.as_str())
    }
}

/// Parses reasons separated by commas. Spaces and empty items are ignored.
pub(crate) fn reasons(text: &str) -> Result<BTreeSet<String>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| {
            let fits = item.len() <= LONGEST_REASON && item.chars().all(|letter| letter.is_ascii_alphanumeric());
            if fits { Ok(item.to_owned()) } else { Err(format!("where {item:?} is not the reason of an Event")) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::words::level;
    use super::*;

    #[test]
    fn the_default_delivers_every_line() {
        for level in [Level::Debug, Level::Warn, Level::Error] {
            assert!(
                LineFilter::default().delivers(level, Some("Pulling")) && LineFilter::default().delivers(level, None)
            );
        }
    }

    #[test]
    fn level_and_reason_both_have_to_fit() {
        let filter =
            LineFilter { min_level: level("Warn").unwrap(), skipped_reasons: reasons("BackOff, Killing,").unwrap() };
        assert!(!filter.delivers(Level::Debug, None) && !filter.delivers(Level::Debug, Some("Other")));
        assert!(filter.delivers(Level::Warn, Some("Other")) && filter.delivers(Level::Error, None));
        assert!(!filter.delivers(Level::Error, Some("BackOff")));
        assert_eq!(filter.to_string(), "min_level=warn skip_reasons=BackOff,Killing");
    }

    #[test]
    fn other_values_are_rejected() {
        assert_eq!(level("loud"), Err("which is not a level".to_owned()));
        assert_eq!(level("trace"), Err("which is not a level".to_owned()), "no line is below debug");
        assert_eq!(reasons("Pulled,Back Off"), Err("where \"Back Off\" is not the reason of an Event".to_owned()));
    }
}
