//! Validation of names that come from objects and become part of a request's path or selector.
//!
//! Users who may create an Event or a pod choose these names, and the API server does not check all of them (the name
//! in a `secretKeyRef` is free text). `../../other/secrets/x` must never become a path.

/// Maximum length of an object's name.
const MAX_NAME: usize = 253;

/// True if this is a DNS subdomain, as the names of all objects are that this program reads. No other name can exist.
pub(super) fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let outer = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME && bytes.iter().copied().all(inner) && outer(bytes.first()) && outer(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dns_subdomain_is_a_name() {
        for name in ["a", "coder-alice-dev-7d9f", "web-0.example", "0"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(254);
        for text in ["", ".", "..", "a/b", "../x", "a?b", "a#b", "a%2fb", "A", "a,metadata.name=b", "a b", "a\\", &long]
        {
            assert!(!is_name(text), "{text}");
        }
    }
}
