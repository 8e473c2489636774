//! The program has no permissions that its flags do not need.

use futures::FutureExt;

use crate::doctor::{
    Context,
    check::{Check, Group, Problem, Severity, Verdict},
    grants, needs,
};

/// Maximum number of permissions that are shown.
const SHOWN: usize = 20;

pub(super) const CHECK: Check = Check {
    id: "permissions-unneeded",
    group: Group::Permissions,
    description: "The program has no other permissions",
    expected: "no permission on core, workload, RBAC, Lease and webhook resources is granted that its flags do not need",
    severity: Severity::Warning,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let other = context.other_user().await?;
    let needs = needs::of(&context.config);
    let grants = grants::of(context, other.as_ref()).await?;
    let unneeded: Vec<_> =
        grants.iter().filter(|grant| !needs.iter().any(|need| need.covers(grant))).map(ToString::to_string).collect();
    if unneeded.is_empty() {
        return Ok(format!("all {} granted permissions are needed", grants.len()));
    }
    let mut shown: Vec<_> = unneeded.iter().take(SHOWN).cloned().collect();
    if unneeded.len() > SHOWN {
        shown.push(format!("and {} more", unneeded.len() - SHOWN));
    }
    Err(Problem::unmet(
        format!("{} are not needed:\n{}", unneeded.len(), shown.join("\n")),
        "remove them from the roles that are bound to the program's ServiceAccount. If it shares an account with other \
         programs, give it one of its own",
    ))
}
