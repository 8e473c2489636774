//! A replica leads and renews the Lease.

use std::time::Duration;

use futures::FutureExt;
use k8s_openapi::api::coordination::v1::Lease;
use tokio::time::Instant;

use crate::{
    config::Election,
    doctor::{
        Context,
        access::Access,
        check::{Check, Group, Problem, Severity, Verdict},
    },
};

/// Pause between two looks at the Lease.
const PAUSE: Duration = Duration::from_millis(500);
const ACTION: &str = "look for `leader` in the logs of the replicas, and at the check permissions-needed";

pub(super) const CHECK: Check = Check {
    id: "leader",
    group: Group::Program,
    description: "One replica leads",
    expected: "a replica holds the Lease and renews it; without an election there is one replica at most",
    severity: Severity::Failure,
    fatal: false,
    retry: true,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let Some(election) = &context.config.election else {
        let replicas = context.deployment().await?.spec.replicas.unwrap_or(1);
        if replicas <= 1 {
            return Ok("one replica, without an election".to_owned());
        }
        return Err(Problem::unmet(
            format!("{replicas} replicas without an election: each of them writes each line"),
            "set --lease-name, or `replicas` of the chart to 1",
        ));
    };
    let first = read(context, election).await?;
    let holder = first.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
    if holder.is_empty() {
        return Err(Problem::unmet(format!("no replica holds the Lease {}", election.name), ACTION));
    }
    // Watch for a renewal instead of reading its time, which comes from another machine's clock.
    let deadline = Instant::now() + election.lease;
    loop {
        let now = read(context, election).await?;
        if now.metadata.resource_version != first.metadata.resource_version {
            return Ok(format!("{holder} renews the Lease {}", election.name));
        }
        if Instant::now() >= deadline {
            let seconds = election.lease.as_secs();
            return Err(Problem::unmet(format!("{holder} has not renewed the Lease for {seconds} s"), ACTION));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn read(context: &Context, election: &Election) -> Result<Lease, Problem> {
    let get = Access::new("get", "coordination.k8s.io", "leases").within(&*election.namespace).named(&election.name);
    let missing =
        || Problem::unmet(format!("the Lease {} does not exist in {}", election.name, election.namespace), ACTION);
    context.api.find(&get).await?.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        doctor::testing::scripted,
        watch::testing::{Answer, Script},
    };

    fn lease(version: u64, holder: &str) -> Answer {
        let metadata: Value = json!({ "name": "logs", "resourceVersion": version.to_string() });
        Answer::json(&json!({ "metadata": metadata, "spec": { "holderIdentity": holder } }))
    }

    async fn verdict(script: Script) -> Verdict {
        run(&scripted(script, &["--lease-name=logs"])).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_renewed_passes() {
        let script = Script::new().on("leases/logs", lease(1, "a")).on("leases/logs", lease(1, "a"));
        let found = verdict(script.always("leases/logs", lease(2, "a"))).await.unwrap();
        assert!(found.contains("a renews"), "{found}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_without_a_holder_or_renewals_fails() {
        for (answer, expected) in [
            (lease(1, ""), "no replica holds"),
            (lease(1, "a"), "has not renewed the Lease for 10 s"),
            (Answer::status(404, "not found"), "does not exist"),
        ] {
            let Err(Problem::Unmet(finding)) = verdict(Script::new().always("leases/logs", answer)).await else {
                panic!("it passed")
            };
            assert!(finding.found.contains(expected), "{finding:?}");
        }
    }
}
