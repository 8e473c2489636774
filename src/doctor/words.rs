//! Words of findings.

/// A number with its noun, whose plural ends with `s`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_has_no_plural() {
        assert_eq!(super::counted(1, "workspace pod"), "1 workspace pod");
        assert_eq!(super::counted(0, "workspace pod"), "0 workspace pods");
    }
}
