//! The URL of Coder.

use url::Url;

/// Parses an http or https URL without parts that could be secret.
pub(crate) fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "which does not start with http:// or https://".to_owned(),
        other => format!("which is not a URL ({other})"),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("which does not start with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("which has a user or password in it".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("which has a query or fragment".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_and_https_with_port_and_path_are_accepted() {
        for text in ["http://coder.coder", "https://coder.example.com:8443/", "https://[::1]:3000/base"] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, problem) in [
            ("coder.example.com", "which does not start with http:// or https://"),
            ("localhost:3000", "which does not start with http:// or https://"),
            ("ftp://coder.example.com", "which does not start with http:// or https://"),
            ("https://", "which is not a URL (empty host)"),
            ("https://coder.example.com:99999", "which is not a URL (invalid port number)"),
            ("https://user@coder.example.com", "which has a user or password in it"),
            ("https://:word@coder.example.com", "which has a user or password in it"),
            ("https://coder.example.com/?a=b", "which has a query or fragment"),
            ("https://coder.example.com/#a", "which has a query or fragment"),
        ] {
            assert_eq!(parse(text), Err(problem.to_owned()), "{text}");
        }
    }
}
