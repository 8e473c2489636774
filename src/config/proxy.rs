//! The proxy for connections to the API server.

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::Kubeconfig;

/// A proxy for connections to the API server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Proxy {
    /// An HTTP proxy that supports CONNECT.
    Http {
        /// The proxy's address, without credentials.
        address: Uri,
        /// `Proxy-Authorization`, marked as sensitive.
        authorization: Option<HeaderValue>,
    },
    /// A SOCKS version 5 proxy.
    Socks {
        /// The proxy's address, without credentials.
        address: Uri,
        /// User and password.
        login: Option<(String, String)>,
    },
}

/// The proxy setting cannot be used. Permanent.
#[derive(Debug, Clone, Eq, PartialEq, thiserror::Error)]
#[error("the proxy for the API server ({from}) {problem}; expected http://HOST:PORT or socks5://HOST:PORT")]
pub struct ProxyError {
    /// Origin of the setting.
    from: &'static str,
    /// The problem, without credentials.
    problem: String,
}

const OF_KUBECONFIG: &str = "proxy-url of the kubeconfig";
const OF_ENVIRONMENT: &str = "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY";

impl Proxy {
    /// The proxy for `server`: the kubeconfig's `proxy-url`, else that of the environment unless `NO_PROXY` excludes
    /// the server.
    ///
    /// `NO_PROXY` lists hosts, domains, addresses and networks as in curl and Go; entries that are none of these are
    /// ignored.
    ///
    /// # Errors
    /// If it is not the URL of a supported kind of proxy.
    pub(super) fn choose(proxy_url: Option<&str>, server: &Uri) -> Result<Option<Self>, ProxyError> {
        Self::choose_by(proxy_url, server, &Matcher::from_env())
    }

    fn choose_by(proxy_url: Option<&str>, server: &Uri, environment: &Matcher) -> Result<Option<Self>, ProxyError> {
        match proxy_url.filter(|url| !url.is_empty()) {
            // The matcher parses the URL, including credentials, as it does for the environment.
            Some(url) => {
                let read = Matcher::builder().all(url).build();
                Self::of(&read, server, OF_KUBECONFIG)?.map_or_else(
                    || Err(ProxyError { from: OF_KUBECONFIG, problem: "is not a URL".to_owned() }),
                    |proxy| Ok(Some(proxy)),
                )
            }
            None if !has_proxy(environment) => Ok(None),
            None => Self::of(environment, server, OF_ENVIRONMENT),
        }
    }

    fn of(matcher: &Matcher, server: &Uri, from: &'static str) -> Result<Option<Self>, ProxyError> {
        let Some(found) = matcher.intercept(server) else { return Ok(None) };
        let address = found.uri().clone();
        match address.scheme_str() {
            Some("http") => {
                let authorization = found.basic_auth().cloned().map(|mut value| {
                    value.set_sensitive(true);
                    value
                });
                Ok(Some(Self::Http { address, authorization }))
            }
            Some("socks5" | "socks5h") => {
                let login = found.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned()));
                Ok(Some(Self::Socks { address, login }))
            }
            Some(scheme) => Err(ProxyError { from, problem: format!("has the scheme {scheme}") }),
            None => Err(ProxyError { from, problem: "has no scheme".to_owned() }),
        }
    }

    /// The proxy's address, without credentials.
    pub fn address(&self) -> &Uri {
        match self {
            Self::Http { address, .. } | Self::Socks { address, .. } => address,
        }
    }
}

/// True if the environment has a proxy for `scheme` URLs, such as `https`, and `NO_PROXY` is not `*`.
pub fn environment_has_proxy(scheme: &str) -> bool {
    any_name(scheme).is_some_and(|name| Matcher::from_env().intercept(&name).is_some())
}

fn has_proxy(environment: &Matcher) -> bool {
    any_name("https").is_some_and(|name| environment.intercept(&name).is_some())
}

/// URL of a host that only the entry `*` of `NO_PROXY` matches.
fn any_name(scheme: &str) -> Option<Uri> {
    format!("{scheme}://any.invalid").parse().ok()
}

/// Takes the `proxy-url` of the current context's cluster out of a kubeconfig.
///
/// A placeholder takes its place. Without one, kube reads `HTTPS_PROXY` and `NO_PROXY` itself, compares `NO_PROXY` with
/// the proxy instead of the server, and rejects lists that curl and Go accept.
pub(super) fn take_proxy_url(kubeconfig: &mut Kubeconfig) -> Option<String> {
    let name = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == *name)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter_mut().find(|cluster| cluster.name == context.cluster)?.cluster.as_mut()?;
    cluster.proxy_url.replace("http://127.0.0.1:9".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Uri {
        Uri::from_static("https://api.example.com:6443")
    }

    fn by_environment(proxy: &str, no_proxy: &str, server: &'static str) -> Result<Option<Proxy>, ProxyError> {
        let environment = Matcher::builder().https(proxy).no(no_proxy).build();
        Proxy::choose_by(None, &Uri::from_static(server), &environment)
    }

    #[test]
    fn no_proxy_is_compared_with_the_server() {
        let server = "https://10.1.2.3:6443";
        assert!(by_environment("http://proxy:3128", "", server).unwrap().is_some());
        for no_proxy in ["*", "10.0.0.0/8", "10.1.2.3", "x,, 10.1.2.3 ,", "not a host at all!,10.1.2.0/24"] {
            assert_eq!(by_environment("http://proxy:3128", no_proxy, server), Ok(None), "{no_proxy}");
        }
        assert!(by_environment("http://proxy:3128", "proxy,10.2.0.0/16", server).unwrap().is_some());
        for no_proxy in ["example.com", ".example.com", "api.example.com"] {
            assert_eq!(by_environment("http://p:1", no_proxy, "https://api.example.com"), Ok(None), "{no_proxy}");
        }
    }

    #[test]
    fn the_kubeconfig_comes_before_the_environment() {
        let environment = Matcher::builder().https("http://other:1").no("*").build();
        let proxy = Proxy::choose_by(Some("http://bob:pw@proxy:3128"), &server(), &environment).unwrap().unwrap();
        assert_eq!(proxy.address().authority().unwrap(), "proxy:3128");
        let Proxy::Http { authorization: Some(authorization), .. } = &proxy else { panic!("{proxy:?}") };
        assert_eq!(authorization, "Basic Ym9iOnB3");
        assert!(!format!("{proxy:?}").contains("Ym9iOnB3"));
    }

    #[test]
    fn proxies_of_other_kinds_are_refused_without_their_credentials() {
        let none = Matcher::builder().build();
        let socks = Proxy::choose_by(Some("socks5://bob:pw@proxy:1080"), &server(), &none).unwrap().unwrap();
        assert!(matches!(socks, Proxy::Socks { login: Some(_), .. }));
        for url in ["https://bob:hunter2@proxy:3128", "socks4://proxy:1", "::"] {
            let error = Proxy::choose_by(Some(url), &server(), &none).unwrap_err().to_string();
            assert!(error.contains("proxy-url of the kubeconfig") && error.contains("expected"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
