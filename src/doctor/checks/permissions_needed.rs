//! The program has all permissions that its flags need.

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use crate::doctor::{
    Context,
    access::Access,
    check::{Check, Group, Problem, Severity, Verdict},
    needs,
};

/// Number of concurrent reviews: a release of many namespaces needs hundreds, each of a millisecond and the network's
/// latency.
const CONCURRENCY: usize = 8;

pub(super) const CHECK: Check = Check {
    id: "permissions-needed",
    group: Group::Permissions,
    description: "The program has the permissions that its flags need",
    expected: "an access review allows each of them to the program's ServiceAccount",
    severity: Severity::Failure,
    fatal: false,
    retry: true,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let other = context.other_user().await?;
    let needs = needs::of(&context.config);
    let count = needs.len();
    let reviews = stream::iter(needs).map(async |need: Access| {
        let allowed = context.program_may(&need, other.as_ref()).await?;
        Ok::<_, Problem>((!allowed).then(|| need.to_string()))
    });
    let missing: Vec<_> = reviews.buffered(CONCURRENCY).try_collect().await?;
    let missing: Vec<_> = missing.into_iter().flatten().collect();
    if missing.is_empty() {
        return Ok(format!("all {count} are granted"));
    }
    Err(Problem::unmet(
        format!("{} of {count} are missing:\n{}", missing.len(), missing.join("\n")),
        "run `helm upgrade`, or add the missing rules to your own role (rbac.create: false)",
    ))
}
