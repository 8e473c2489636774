//! The proxy variables are usable and fit Coder's address.

use futures::{FutureExt, future};
use http::Uri;
use url::Url;

use crate::doctor::{
    check::{Check, Group, Problem, Severity, Verdict},
    proxies::Variables,
};

pub(super) const CHECK: Check = Check {
    id: "proxies",
    group: Group::Network,
    description: "The proxy variables fit",
    expected: "HTTPS_PROXY, HTTP_PROXY and ALL_PROXY are URLs of proxies, and a Coder inside of the cluster is reached directly",
    severity: Severity::Warning,
    fatal: false,
    retry: false,
    run: |context| future::ready(judge(&context.proxies, &context.config.settings.coder_url)).boxed(),
};

fn judge(variables: &Variables, coder: &Url) -> Verdict {
    let unusable = variables.unusable();
    if !unusable.is_empty() {
        return Err(Problem::unmet(
            format!("{} has no effect, because it is not the URL of a proxy", unusable.join(", ")),
            "set it to http://HOST:PORT or socks5://HOST:PORT, or remove it",
        ));
    }
    let proxy = coder.as_str().parse::<Uri>().ok().and_then(|uri| variables.proxy_for(&uri));
    let Some(proxy) = proxy else { return Ok("Coder and the API server are reached directly".to_owned()) };
    if is_in_cluster(coder) {
        let host = coder.host_str().unwrap_or_default();
        return Err(Problem::unmet(
            format!("Coder is inside of the cluster ({host}), and requests to it go to the proxy {proxy}"),
            format!("add {host} or .svc to NO_PROXY"),
        ));
    }
    Ok(format!("Coder is reached by the proxy {proxy}, the API server directly"))
}

/// True if the URL is the name of a Service.
pub(super) fn is_in_cluster(url: &Url) -> bool {
    let Some(host) = url.domain() else { return false };
    let last = host.rsplit('.').next().unwrap_or_default();
    last == "svc" || host.ends_with(".cluster.local") || (last == host && host != "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(variables: &[(&str, &str)], coder: &str) -> Verdict {
        let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        judge(&Variables::of(&variables), &coder.parse().unwrap())
    }

    #[test]
    fn a_coder_inside_of_the_cluster_behind_a_proxy_is_found() {
        let proxy = ("https_proxy", "http://bob:hunter2@proxy:3128");
        let Err(Problem::Unmet(finding)) = verdict(&[proxy], "https://coder.coder.svc") else { panic!("it passed") };
        assert!(finding.found.contains("proxy:3128") && !finding.found.contains("hunter2"), "{finding:?}");
        assert!(verdict(&[proxy, ("NO_PROXY", ".svc")], "https://coder.coder.svc").is_ok());
        let found = verdict(&[proxy], "https://coder.example.com").unwrap();
        assert!(found.contains("by the proxy http://proxy:3128"), "{found}");
        assert!(verdict(&[proxy], "http://coder.coder.svc").is_ok(), "the variable is for https");
    }

    #[test]
    fn a_value_that_is_no_url_is_found() {
        let Err(Problem::Unmet(finding)) = verdict(&[("ALL_PROXY", "::not a url::")], "https://coder.example.com")
        else {
            panic!("it passed")
        };
        assert!(finding.found.starts_with("ALL_PROXY"), "{finding:?}");
    }
}
