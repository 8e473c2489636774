//! Names of Kubernetes objects.

/// Maximum lengths of a DNS label and a DNS subdomain (RFC 1123).
const LABEL: usize = 63;
const SUBDOMAIN: usize = 253;

/// Checks the name of a namespace, which is a DNS label.
pub(crate) fn label(text: &str) -> Result<String, String> {
    check_label(text)?;
    if text.len() > LABEL {
        return Err(format!("where {text:?} has {} characters", text.len()));
    }
    Ok(text.to_owned())
}

/// Checks the name of most other objects, which is a DNS subdomain: labels joined by dots.
pub(crate) fn subdomain(text: &str) -> Result<String, String> {
    for part in text.split('.') {
        check_label(part)?;
    }
    if text.len() > SUBDOMAIN {
        return Err(format!("which has {} characters", text.len()));
    }
    Ok(text.to_owned())
}

fn check_label(text: &str) -> Result<(), String> {
    let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if text.is_empty() {
        return Err("where a name is missing".to_owned());
    }
    if let Some(letter) = text.chars().find(|letter| !allowed(*letter)) {
        return Err(format!("where a name contains {letter:?}"));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err("where a name begins or ends with '-'".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_subdomains_are_distinguished() {
        assert!(label("team-1").is_ok());
        assert!(label("a.b").is_err());
        assert!(subdomain("a.b-c").is_ok());
        assert!(subdomain("a..b").is_err());
    }

    #[test]
    fn lengths_end_where_kubernetes_ends_them() {
        assert!(label(&"a".repeat(63)).is_ok());
        assert!(label(&"a".repeat(64)).is_err());
        assert!(subdomain(&"a".repeat(253)).is_ok());
        assert!(subdomain(&"a".repeat(254)).is_err());
    }

    #[test]
    fn capitals_and_hyphens_at_the_ends_are_refused() {
        for text in ["Coder", "-a", "a-", "", "a_b", "é"] {
            assert!(label(text).is_err(), "{text}");
        }
    }
}
