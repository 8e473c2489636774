//! Which fact a line tells, and how long it took.

use std::time::{Duration, Instant};

use crate::facts::Fact;
use crate::wording::{times, without_pod_name};

/// How long a line took from its fact to Coder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    /// How long it could not be delivered, because Coder did not accept the agent's token yet.
    pub(crate) held: Duration,
    /// From the fact to the line's arrival, or from the token's first moment where that was later.
    pub(crate) took: Duration,
}

impl Timing {
    /// Of a fact known at `fact`, to an agent whose token works from `valid`.
    pub(crate) fn of(fact: Instant, valid: Instant, arrived: Instant) -> Self {
        Self { held: valid.saturating_duration_since(fact), took: arrived.saturating_duration_since(fact.max(valid)) }
    }
}

/// For each line in order of arrival, the fact it tells; `None` where there is none of its text. Facts come in the
/// order they became known; each is told by one line at most, and a repeat by the line that counts it.
pub(crate) fn facts_of_lines<'f>(facts: &[&'f Fact], lines: &[String]) -> Vec<Option<&'f Fact>> {
    let mut free: Vec<&Fact> = facts.to_vec();
    let mut find = |line: &String| {
        let counted = times(line);
        let line = without_pod_name(line);
        let fits = |fact: &Fact| !fact.text.is_empty() && line.starts_with(&fact.text);
        // Of two texts of which one begins with the other, the longer is meant.
        let longest = free.iter().filter(|fact| fits(fact)).map(|fact| fact.text.len()).max()?;
        let told = |fact: &Fact| fits(fact) && fact.text.len() == longest;
        let exact = free.iter().position(|fact| told(fact) && fact.times >= counted);
        let index = exact.or_else(|| free.iter().rposition(|fact| told(fact)))?;
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

    /// The index of the fact that each line tells.
    fn matched(texts: &[(&str, u32)], lines: &[&str]) -> Vec<Option<usize>> {
        let facts = facts(texts);
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let found = facts_of_lines(&facts.iter().collect::<Vec<_>>(), &lines);
        let index = |found: &Fact| facts.iter().position(|fact| std::ptr::eq(fact, found)).unwrap();
        found.into_iter().map(|fact| fact.map(index)).collect()
    }

    #[test]
    fn a_line_tells_the_fact_whose_text_it_begins_with() {
        let facts = [("Pulling image", 1), ("Container started", 1)];
        let lines = ["Container started", "Pulling image → and a hint", "Something else", "A Container started"];
        assert_eq!(matched(&facts, &lines), [Some(1), Some(0), None, None]);
    }

    #[test]
    fn the_same_text_twice_is_told_in_order() {
        let facts = [("Pulling image", 1), ("Pulling image", 1)];
        assert_eq!(matched(&facts, &["Pulling image", "Pulling image", "Pulling image"]), [Some(0), Some(1), None]);
    }

    #[test]
    fn a_count_is_told_by_the_fact_that_reached_it() {
        let facts = [("Back-off", 1), ("Back-off", 2), ("Back-off", 5)];
        assert_eq!(matched(&facts, &["Back-off", "Back-off (x4 over 2s)"]), [Some(0), Some(2)]);
        assert_eq!(matched(&facts, &["Back-off", "Back-off (x9 over 2s)"]), [Some(0), Some(2)]);
    }

    #[test]
    fn the_longer_of_two_texts_is_meant() {
        let facts = [("Error: ErrImagePull", 1), ("Error: ErrImagePullBackOff", 1)];
        assert_eq!(matched(&facts, &["Error: ErrImagePullBackOff", "Error: ErrImagePull"]), [Some(1), Some(0)]);
    }

    #[test]
    fn what_waited_for_the_agent_counts_from_the_agents_first_moment() {
        let fact = Instant::now();
        let after = |milliseconds| fact + Duration::from_millis(milliseconds);
        let held = Timing::of(fact, after(1_800), after(1_850));
        assert_eq!((held.held.as_millis(), held.took.as_millis()), (1_800, 50));
        let prompt = Timing::of(after(2_000), after(1_800), after(2_003));
        assert_eq!((prompt.held.as_millis(), prompt.took.as_millis()), (0, 3));
        // The demo's own watch may be told later than the product's.
        assert_eq!(Timing::of(after(5), fact, fact).took, Duration::ZERO);
    }
}
