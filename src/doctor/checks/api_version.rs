//! The API server is new enough.

use futures::FutureExt;
use serde::Deserialize;

use crate::doctor::{
    Context,
    check::{Check, Group, Problem, Severity, Verdict},
};

/// The first minor version with match conditions (CEL) for webhooks.
const FIRST: u32 = 30;

pub(super) const CHECK: Check = Check {
    id: "api-version",
    group: Group::Kubernetes,
    description: "The API server's version is supported",
    expected: "Kubernetes 1.30 or later",
    severity: Severity::Failure,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

#[derive(Deserialize)]
struct Version {
    major: String,
    minor: String,
    #[serde(rename = "gitVersion")]
    full: String,
}

async fn run(context: &Context) -> Verdict {
    let version: Version = context.api.get_path("/version").await?;
    // Some providers write `30+`.
    let number = |text: &str| text.trim_end_matches(|last: char| !last.is_ascii_digit()).parse::<u32>().ok();
    match (number(&version.major), number(&version.minor)) {
        (Some(major), Some(minor)) if major > 1 || (major == 1 && minor >= FIRST) => Ok(version.full),
        (Some(_), Some(_)) => Err(Problem::unmet(
            version.full,
            "upgrade the cluster; older API servers do not know the webhook's match conditions",
        )),
        _ => Err(Problem::doubtful(format!("the version {} cannot be read", version.full), "compare it yourself")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        doctor::testing::scripted,
        watch::testing::{Answer, Script},
    };

    async fn verdict(minor: &str) -> Verdict {
        let answer = json!({ "major": "1", "minor": minor, "gitVersion": format!("v1.{minor}.0") });
        run(&scripted(Script::new().always("/version", Answer::json(&answer)), &[])).await
    }

    #[tokio::test]
    async fn versions_before_1_30_fail() {
        for minor in ["30", "37", "30+"] {
            assert!(verdict(minor).await.is_ok(), "{minor}");
        }
        assert!(matches!(verdict("29").await, Err(Problem::Unmet(_))));
        assert!(matches!(verdict("?").await, Err(Problem::Doubtful(_))));
    }
}
