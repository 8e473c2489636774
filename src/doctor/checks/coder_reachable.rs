//! Coder answers at its URL.

use futures::FutureExt;

use super::proxies::is_in_cluster;
use crate::{
    coder::{Failure, Probe, ProbeError, probe},
    doctor::{
        Context,
        check::{Check, Group, Problem, Severity, Verdict},
        context::Vantage,
        handshake::in_words,
    },
};

pub(super) const CHECK: Check = Check {
    id: "coder-reachable",
    group: Group::Coder,
    description: "Coder answers at its URL",
    expected: "GET /api/v2/buildinfo below --coder-url is answered by Coder",
    severity: Severity::Failure,
    fatal: false,
    retry: true,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let url = &context.config.settings.coder_url;
    let probed = probe(url).await.map_err(|error| {
        Problem::unmet(
            error.to_string(),
            "mount CA certificates and set SSL_CERT_FILE (image.sslCertFile in the chart)",
        )
    })?;
    *context.coder.lock().await = Some(probed.clone());
    match probed {
        Ok(probe) => Ok(format!("{url} after {} ms", probe.took.as_millis())),
        Err(error) => Err(problem(context, &error)),
    }
}

fn problem(context: &Context, error: &ProbeError) -> Problem {
    let url = &context.config.settings.coder_url;
    let is_lost = matches!(error.error.failure, Failure::Network { .. } | Failure::Timeout);
    if context.vantage == Vantage::Outside && is_lost && is_in_cluster(url) {
        return Problem::skipped(format!("{url} is an address inside of the cluster; `helm test` verifies it there"));
    }
    if let Some(reason) = &error.certificate {
        return Problem::unmet(format!("{url}: {}", in_words(reason)), "see the check coder-certificate");
    }
    let action = match error.error.failure {
        Failure::NotCoder { .. } => {
            "set --coder-url (`url` in the chart) to Coder's own address, without a login proxy in front"
        }
        Failure::Limited { .. } => "see the check coder-rate-limit",
        Failure::Server { .. } => "check that Coder is healthy, and the ingress in front of it",
        _ => "check --coder-url, name resolution, egress policies and proxies from the program's pod",
    };
    Problem::unmet(format!("{url}: {}", error.error), action)
}

/// Coder's response to [`CHECK`], or the reason to skip.
pub(super) async fn answer(context: &Context) -> Result<Probe, Problem> {
    match &*context.coder.lock().await {
        Some(Ok(probe)) => Ok(probe.clone()),
        Some(Err(_)) | None => Err(Problem::skipped("the check coder-reachable did not pass")),
    }
}
