//! Parser of Prometheus' text format.

use std::collections::BTreeMap;

/// Samples of one scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Parses the text format; lines that are not samples are skipped.
    pub fn parse(text: &str) -> Self {
        let sample = |line: &str| {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                return None;
            }
            // A label's value may hold spaces, so the name ends at the brace or, without labels, at the first space.
            let end = line.rfind('}').map_or_else(|| line.find(char::is_whitespace), |brace| Some(brace + 1))?;
            let value = line[end..].split_whitespace().next()?.parse().ok()?;
            Some((canonical(&line[..end]), value))
        };
        Self(text.lines().filter_map(sample).collect())
    }

    /// The value of a sample by name and labels, such as `lines_total{reason="sent"}`, with labels in any order.
    pub fn get(&self, sample: &str) -> Option<f64> {
        self.0.get(&canonical(sample)).copied()
    }

    /// The sum over all samples with this name.
    pub fn sum(&self, name: &str) -> f64 {
        self.iter().filter(|(sample, _)| sample.split('{').next() == Some(name)).map(|(_, value)| value).sum()
    }

    /// All samples, with name and labels as key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(sample, value)| (sample.as_str(), *value))
    }
}

/// Normalizes a sample's key: labels are sorted.
fn canonical(sample: &str) -> String {
    let Some((name, labels)) = sample.split_once('{') else { return sample.trim().to_owned() };
    let labels = labels.trim_end().trim_end_matches('}');
    let mut parts: Vec<String> = Vec::new();
    let (mut part, mut quoted, mut escaped) = (String::new(), false, false);
    for character in labels.chars() {
        match character {
            ',' if !quoted => parts.push(std::mem::take(&mut part)),
            _ => {
                if character == '"' && !escaped {
                    quoted = !quoted;
                }
                escaped = character == '\\' && !escaped;
                part.push(character);
            }
        }
    }
    parts.push(part);
    let mut parts: Vec<&str> = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    parts.sort_unstable();
    if parts.is_empty() { name.trim().to_owned() } else { format!("{}{{{}}}", name.trim(), parts.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn samples_are_found_by_name_and_labels_in_any_order() {
        let metrics = Metrics::parse(
            "# HELP a_total lines\na_total{reason=\"x, y\",kind=\"p\"} 3\na_total{reason=\"z\"} 4 1700000000\nup 1\n",
        );
        assert_eq!(metrics.get("a_total{kind=\"p\",reason=\"x, y\"}"), Some(3.0));
        assert_eq!(metrics.get("up"), Some(1.0));
        assert_eq!(metrics.get("down"), None);
        assert!((metrics.sum("a_total") - 7.0).abs() < f64::EPSILON);
    }
}
