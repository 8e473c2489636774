//! Selection of namespaces.

use std::fmt;

use super::names;

/// The namespaces whose workspaces are streamed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Namespaces {
    /// All namespaces, including future ones.
    All,
    /// These namespaces: at least one, without duplicates, in the given order.
    Listed(Vec<String>),
}

impl Namespaces {
    /// True if workspaces of this namespace are streamed.
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Listed(names) => names.iter().any(|name| name == namespace),
        }
    }

    /// Parses a list separated by commas. Spaces and empty items are ignored; an empty list means all.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut listed = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let name = names::label(item)?;
            if !listed.contains(&name) {
                listed.push(name);
            }
        }
        // A list of only commas is a mistake, which must not widen the watch to the whole cluster.
        if listed.is_empty() && !text.trim().is_empty() {
            return Err("which has commas but no name".to_owned());
        }
        Ok(if listed.is_empty() { Self::All } else { Self::Listed(listed) })
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("all"),
            Self::Listed(names) => formatter.write_str(&names.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Namespaces {
        Namespaces::Listed(names.iter().copied().map(str::to_owned).collect())
    }

    #[test]
    fn nothing_means_all() {
        assert_eq!(Namespaces::parse(""), Ok(Namespaces::All));
        assert!(Namespaces::All.contains("any"));
    }

    #[test]
    fn spaces_doubles_and_stray_commas_do_not_count() {
        assert_eq!(Namespaces::parse(" dev, ops,dev,"), Ok(listed(&["dev", "ops"])));
        assert!(listed(&["dev"]).contains("dev") && !listed(&["dev"]).contains("ops"));
    }

    #[test]
    fn only_commas_are_refused_instead_of_meaning_all() {
        assert_eq!(Namespaces::parse(" , "), Err("which has commas but no name".to_owned()));
    }
}
