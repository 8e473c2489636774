//! Coder's rate limit has room.

use futures::FutureExt;

use super::coder_reachable::answer;
use crate::{
    coder::Failure,
    doctor::{
        Context,
        check::{Check, Group, Problem, Severity, Verdict},
    },
};

const ACTION: &str = "let Coder trust the proxy in front of it (CODER_PROXY_TRUSTED_ORIGINS, CODER_PROXY_TRUSTED_HEADERS), \
                      or raise CODER_API_RATE_LIMIT";

pub(super) const CHECK: Check = Check {
    id: "coder-rate-limit",
    group: Group::Coder,
    description: "Coder's rate limit has room",
    expected: "at least a quarter of the requests of a minute is left, and the limit is not below 100",
    severity: Severity::Warning,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    if let Some(Err(error)) = &*context.coder.lock().await
        && matches!(error.error.failure, Failure::Limited { .. })
    {
        return Err(Problem::unmet("it is used up (429)", ACTION));
    }
    let Some(rate) = answer(context).await?.rate else { return Ok("Coder has no rate limit".to_owned()) };
    let found = format!("{} of {} requests are left", rate.remaining, rate.limit);
    if rate.remaining.saturating_mul(4) < rate.limit || rate.limit < 100 {
        return Err(Problem::unmet(found, ACTION));
    }
    Ok(found)
}
