//! Redirects: which ones are followed, and which ones change Coder's URL.

use reqwest::{Response, StatusCode, Url, header::LOCATION};

use super::error::Failure;

/// Maximum number of redirects followed for one request.
pub(super) const MAX_REDIRECTS: usize = 4;

/// Maximum length of a target in an error, in characters.
const SHOWN: usize = 200;

/// A redirect that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redirect {
    /// Coder's URL according to the target.
    pub(super) base: Url,
    /// 301 and 308: permanent.
    pub(super) is_permanent: bool,
}

/// Reads the redirect of a request to `endpoint` below `base`; `None` if the answer is not a redirect.
///
/// A redirect is followed to the same endpoint on the same host: by https instead of http, on another path or, within
/// https, on another port. The token must not leave that host or its encryption.
///
/// # Errors
/// [`Failure::NotCoder`] for any other target, which it names.
pub(super) fn read(response: &Response, base: &Url, endpoint: &str) -> Result<Option<Redirect>, Failure> {
    use StatusCode as Code;
    let status = response.status();
    if !matches!(status, Code::MOVED_PERMANENTLY | Code::FOUND | Code::TEMPORARY_REDIRECT | Code::PERMANENT_REDIRECT) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| response.url().join(location).ok());
    let Some(target) = target else {
        return Err(Failure::not_coder(format!("it redirects ({}) to nowhere that can be read", status.as_u16())));
    };
    match follow(&target, base, endpoint) {
        Some(base) => {
            let is_permanent = matches!(status, Code::MOVED_PERMANENTLY | Code::PERMANENT_REDIRECT);
            Ok(Some(Redirect { base, is_permanent }))
        }
        None => Err(Failure::not_coder(format!(
            "it redirects ({}) to {}; if Coder is there, set CODER_URL to it",
            status.as_u16(),
            shown(&target)
        ))),
    }
}

/// The URL of Coder that the target belongs to, if the redirect may be followed.
fn follow(target: &Url, base: &Url, endpoint: &str) -> Option<Url> {
    let is_safer = match (base.scheme(), target.scheme()) {
        (_, "https") => true,
        ("http", "http") => base.port_or_known_default() == target.port_or_known_default(),
        _ => false,
    };
    let is_same_host = base.host() == target.host() && base.host().is_some();
    if !is_safer || !is_same_host || !target.username().is_empty() || target.password().is_some() {
        return None;
    }
    let path = target.path().trim_end_matches('/').strip_suffix(endpoint)?.to_owned();
    let mut base = target.clone();
    base.set_path(&path);
    base.set_query(None);
    base.set_fragment(None);
    Some(base)
}

/// A target without parts that may be secret.
fn shown(target: &Url) -> String {
    let mut target = target.clone();
    target.set_query(None);
    target.set_fragment(None);
    // These fail only for URLs that cannot have either.
    let _ = (target.set_username(""), target.set_password(None));
    target.as_str().chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: &str = "api/v2/workspaceagents/me/logs";

    fn followed(base: &str, target: &str) -> Option<String> {
        let target = target.replace("$E", ENDPOINT);
        follow(&target.parse().unwrap(), &base.parse().unwrap(), ENDPOINT).map(|url| url.to_string())
    }

    #[test]
    fn only_the_same_endpoint_of_the_same_host_is_followed() {
        for (base, target, expected) in [
            ("http://coder.example.com/", "https://coder.example.com/$E", Some("https://coder.example.com/")),
            ("http://coder.example.com/", "https://coder.example.com:8443/$E", Some("https://coder.example.com:8443/")),
            ("http://c/", "http://c/coder/$E", Some("http://c/coder/")),
            ("https://c/", "https://c/$E?x=y", Some("https://c/")),
            ("https://c/", "http://c/$E", None),
            ("http://c/", "http://c:81/$E", None),
            ("http://c/", "https://other/$E", None),
            ("http://c/", "https://c.evil.com/$E", None),
            ("http://c/", "https://user:pw@c/$E", None),
            ("https://c/", "https://c/login?redirect=/$E", None),
            ("http://c/", "ftp://c/$E", None),
        ] {
            assert_eq!(followed(base, target).as_deref(), expected, "{base} → {target}");
        }
    }

    #[test]
    fn a_shown_target_has_no_credentials() {
        let target = "https://bob:hunter2@sso.example.com/login?state=hunter3#x".parse().unwrap();
        assert_eq!(shown(&target), "https://sso.example.com/login");
    }
}
