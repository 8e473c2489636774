//! Coder's URL needs no redirect.

use futures::FutureExt;

use super::coder_reachable::answer;
use crate::doctor::{
    Context,
    check::{Check, Group, Problem, Severity, Verdict},
};

pub(super) const CHECK: Check = Check {
    id: "coder-redirects",
    group: Group::Coder,
    description: "Coder's URL is its own address",
    expected: "requests are answered without a redirect",
    severity: Severity::Warning,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let url = answer(context).await?.url;
    let without_slash = |text: &str| text.trim_end_matches('/').to_owned();
    if without_slash(url.as_str()) == without_slash(context.config.settings.coder_url.as_str()) {
        return Ok("no redirect".to_owned());
    }
    Err(Problem::unmet(
        format!("{} redirects to {url}", context.config.settings.coder_url),
        format!("set --coder-url (`url` in the chart) to {url}: each redirect costs a request"),
    ))
}
