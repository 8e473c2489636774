//! Matching of log lines to facts, and the latency of each line.

use std::time::{Duration, Instant};

use crate::facts::Fact;
use crate::wording::{times, without_pod_name};

/// Latency of a line, from its fact to its arrival at Coder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    /// Time during which Coder did not accept the agent's token yet.
    pub(crate) held: Duration,
    /// Time from the fact, or from the moment the token became valid if later, to the line's arrival.
    pub(crate) took: Duration,
}

impl Timing {
    /// Latency for a fact known at `fact` and an agent whose token is valid from `valid`.
    pub(crate) fn of(fact: Instant, valid: Instant, arrived: Instant) -> Self {
        Self { held: valid.saturating_duration_since(fact), took: arrived.saturating_duration_since(fact.max(valid)) }
    }
}

/// Finds the fact of each line; `None` if no fact has its text. Lines are in order of arrival, facts in the order they
/// became known. A fact matches at most one line; a repeated fact matches the line that includes it in its count.
pub(crate) fn facts_of_lines<'f>(facts: &[&'f Fact], lines: &[String]) -> Vec<Option<&'f Fact>> {
    let mut free: Vec<&Fact> = facts.to_vec();
    let mut find = |line: &String| {
        let counted = times(line);
        let line = without_pod_name(line);
        let fits = |fact: &Fact| !fact.text.is_empty() && line.starts_with(&fact.text);
        // If one text is a prefix of another, the longer one wins.
        let longest = free.iter().filter(|fact| fits(fact)).map(|fact| fact.text.len()).max()?;
        let matches = |fact: &Fact| fits(fact) && fact.text.len() == longest;
        let exact = free.iter().position(|fact| matches(fact) && fact.times >= counted);
        let index = exact.or_else(|| free.iter().rposition(|fact| matches(fact)))?;
        Some(free.remove(index))
    };
    lines.iter().map(&mut find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(texts: &[(&str, u32)]) -> Vec<Fact> {
        let fact = |&(text, times): &(&str, u32)| Fact {
            namespace: "ns".to_owned(),
            name: "ws".to_owned(),
            text: text.to_owned(),
            times,
            at: Instant::now(),
        };
        texts.iter().map(fact).collect()
    }

    /// The index of each line's fact.
    fn matched(texts: &[(&str, u32)], lines: &[&str]) -> Vec<Option<usize>> {
        let facts = facts(texts);
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let found = facts_of_lines(&facts.iter().collect::<Vec<_>>(), &lines);
        let index = |found: &Fact| facts.iter().position(|fact| std::ptr::eq(fact, found)).unwrap();
        found.into_iter().map(|fact| fact.map(index)).collect()
    }

    #[test]
    fn a_line_matches_the_fact_it_begins_with() {
        let facts = [("Pulling image", 1), ("Container started", 1)];
        let lines = ["Container started", "Pulling image → and a hint", "Something else", "A Container started"];
        assert_eq!(matched(&facts, &lines), [Some(1), Some(0), None, None]);
    }

    #[test]
    fn facts_of_the_same_text_are_matched_in_order() {
        let facts = [("Pulling image", 1), ("Pulling image", 1)];
        assert_eq!(matched(&facts, &["Pulling image", "Pulling image", "Pulling image"]), [Some(0), Some(1), None]);
    }

    #[test]
    fn a_counted_line_matches_the_fact_that_reached_the_count() {
        let facts = [("Back-off", 1), ("Back-off", 2), ("Back-off", 5)];
        assert_eq!(matched(&facts, &["Back-off", "Back-off (x4 over 2s)"]), [Some(0), Some(2)]);
        assert_eq!(matched(&facts, &["Back-off", "Back-off (x9 over 2s)"]), [Some(0), Some(2)]);
    }

    #[test]
    fn the_longer_of_two_texts_is_matched() {
        let facts = [("Error: ErrImagePull", 1), ("Error: ErrImagePullBackOff", 1)];
        assert_eq!(matched(&facts, &["Error: ErrImagePullBackOff", "Error: ErrImagePull"]), [Some(1), Some(0)]);
    }

    #[test]
    fn latency_of_a_held_line_counts_from_the_tokens_validity() {
        let fact = Instant::now();
        let after = |milliseconds| fact + Duration::from_millis(milliseconds);
        let held = Timing::of(fact, after(1_800), after(1_850));
        assert_eq!((held.held.as_millis(), held.took.as_millis()), (1_800, 50));
        let prompt = Timing::of(after(2_000), after(1_800), after(2_003));
        assert_eq!((prompt.held.as_millis(), prompt.took.as_millis()), (0, 3));
        // The demo's own watch may be slower than the product's.
        assert_eq!(Timing::of(after(5), fact, fact).took, Duration::ZERO);
    }
}
