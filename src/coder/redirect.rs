//! Redirects of Coder's URL, followed only where the token may go.

use reqwest::{Response, StatusCode, Url, header::LOCATION};

use super::error::Failure;

/// Maximum number of redirects followed for one request.
pub(super) const MAX_REDIRECTS: usize = 3;

/// Where a response redirects to.
pub(super) fn target(response: &Response) -> Option<Url> {
    let redirects = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let location = response.headers().get(LOCATION).filter(|_| redirects)?.to_str().ok()?;
    response.url().join(location).ok()
}

/// Whether a token sent to `from` may be sent to `to` too: the same origin, or the same host by https instead of http.
pub(super) fn may_follow(from: &Url, to: &Url) -> bool {
    let same_host = from.host().is_some() && from.host() == to.host();
    let anonymous = to.username().is_empty() && to.password().is_none();
    let same_origin = from.scheme() == to.scheme() && from.port_or_known_default() == to.port_or_known_default();
    same_host && anonymous && (same_origin || (from.scheme() == "http" && to.scheme() == "https"))
}

/// The failure that names the target, of which the path may be a secret.
pub(super) fn refused(to: &Url) -> Failure {
    let origin = to.origin().ascii_serialization();
    Failure::not_coder(format!("it redirects to {origin}; if that is Coder, set CODER_URL to its address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_stays_with_its_host() {
        let may = |from: &str, to: &str| may_follow(&Url::parse(from).unwrap(), &Url::parse(to).unwrap());
        assert!(may("http://coder.example.com/a", "https://coder.example.com/a"));
        assert!(may("https://coder.example.com/a", "https://CODER.example.com:443/b"));
        assert!(may("http://10.0.0.1:7080/a", "https://10.0.0.1:7443/a"));
        assert!(!may("https://coder.example.com/a", "http://coder.example.com/a"));
        assert!(!may("https://coder.example.com/a", "https://coder.example.com:8443/a"));
        assert!(!may("http://coder.example.com/a", "http://coder.example.com:8080/a"));
        assert!(!may("http://coder.example.com/a", "https://login.example.com/a"));
        assert!(!may("http://coder.example.com/a", "https://coder.example.com.evil.test/a"));
        assert!(!may("http://coder.example.com/a", "https://user:secret@coder.example.com/a"));
        assert!(!may("http://coder.example.com/a", "ftp://coder.example.com/a"));
    }
}
