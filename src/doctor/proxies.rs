//! The proxy variables of the program's environment.

use std::collections::BTreeMap;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use crate::config::Environment;

/// Proxy variables. The upper case form takes precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Variables {
    /// `HTTPS_PROXY`
    https: String,
    /// `HTTP_PROXY`
    http: String,
    /// `ALL_PROXY`
    all: String,
    /// `NO_PROXY`
    no: String,
}

impl Variables {
    /// Those of this process.
    pub(super) fn of_process() -> Self {
        let environment = Environment::of_process();
        Self::from(|name| environment.text(name))
    }

    /// Those of a container.
    pub(super) fn of(variables: &BTreeMap<String, String>) -> Self {
        Self::from(|name| variables.get(name).cloned())
    }

    fn from(value: impl Fn(&str) -> Option<String>) -> Self {
        let find = |name: &str| value(name).or_else(|| value(&name.to_lowercase())).unwrap_or_default();
        Self { https: find("HTTPS_PROXY"), http: find("HTTP_PROXY"), all: find("ALL_PROXY"), no: find("NO_PROXY") }
    }

    /// Address of the proxy for a server, without credentials; `None` if it is reached directly.
    pub(super) fn proxy_for(&self, server: &Uri) -> Option<Uri> {
        let Self { https, http, all, no } = self.clone();
        let matcher = Matcher::builder().https(https).http(http).all(all).no(no).build();
        matcher.intercept(server).map(|proxy| proxy.uri().clone())
    }

    /// Names of variables whose value is not the URL of a proxy. They have no effect.
    pub(super) fn unusable(&self) -> Vec<&'static str> {
        let is_unusable = |value: &String| {
            let read = Matcher::builder().https(value.clone()).build();
            !value.is_empty() && read.intercept(&Uri::from_static("https://any.invalid")).is_none()
        };
        let named = [("HTTPS_PROXY", &self.https), ("HTTP_PROXY", &self.http), ("ALL_PROXY", &self.all)];
        named.into_iter().filter(|(_, value)| is_unusable(value)).map(|(name, _)| name).collect()
    }
}
