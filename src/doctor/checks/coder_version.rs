//! Coder has the API for agents' logs.

use futures::FutureExt;
use logstream_core::token::AgentToken;

use super::coder_reachable::answer;
use crate::{
    coder::{CoderApi, CoderClient, Failure},
    doctor::{
        Context,
        check::{Check, Group, Problem, Severity, Verdict},
        probe_pod::TOKEN,
    },
};

pub(super) const CHECK: Check = Check {
    id: "coder-version",
    group: Group::Coder,
    description: "Coder has the API for agents' logs",
    expected: "a version of Coder whose agent API rejects a token of no agent (401)",
    severity: Severity::Failure,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let probe = answer(context).await?;
    let version = probe.info.version;
    let client = CoderClient::new(&probe.url).map_err(|error| Problem::skipped(error.to_string()))?;
    let token = AgentToken::parse(TOKEN).map_err(|_| Problem::skipped("no token to try"))?;
    match client.post_log_source(&token).await {
        Err(error) if error.failure == Failure::Unauthorized => Ok(version),
        Err(error) if matches!(error.failure, Failure::Limited { .. }) => {
            Err(Problem::skipped("Coder's rate limit is used up"))
        }
        Err(error) => Err(Problem::unmet(
            format!("{version}, whose agent API answers otherwise: {error}"),
            "upgrade Coder, or let a proxy in front of it pass /api/v2/workspaceagents/me/",
        )),
        Ok(_) => Err(Problem::unmet(
            format!("{version} accepts a token that no agent has"),
            "set --coder-url to Coder's own address: another server answers there",
        )),
    }
}
