//! The API server answers.

use futures::FutureExt;
use serde_json::Value;
use tokio::time::Instant;

use crate::doctor::{
    Context,
    api::ApiError,
    check::{Check, Group, Problem, Severity, Verdict},
};

pub(super) const CHECK: Check = Check {
    id: "api-server",
    group: Group::Kubernetes,
    description: "The API server answers",
    expected: "a response to GET /version",
    severity: Severity::Failure,
    fatal: true,
    retry: true,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let started = Instant::now();
    let answer: Result<Value, _> = context.api.get_path("/version").await;
    match answer {
        Ok(_) => {
            let took = started.elapsed().as_millis();
            match context.api.account().await {
                Ok(user) if !user.is_empty() => Ok(format!("after {took} ms, as {user}")),
                // Any client may read the version.
                Err(error @ (ApiError::Unauthorized(_) | ApiError::Anonymous(_))) => Err(error.into()),
                _ => Ok(format!("after {took} ms")),
            }
        }
        Err(error @ ApiError::Unauthorized(_)) => Err(error.into()),
        Err(error) => Err(Problem::unmet(
            error.to_string(),
            "check the server address of the kubeconfig (--kubeconfig, KUBECONFIG) and the network to it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        doctor::testing::scripted,
        watch::testing::{Answer, Script},
    };

    async fn verdict(answer: Answer) -> Verdict {
        let script = Script::new().always("/version", answer).always(
            "selfsubjectreviews",
            Answer::json(&serde_json::json!({"status": {"userInfo": {"username": "bob"}}})),
        );
        run(&scripted(script, &[])).await
    }

    #[tokio::test]
    async fn an_answer_names_the_account() {
        let found = verdict(Answer::json(&serde_json::json!({"major": "1"}))).await.unwrap();
        assert!(found.ends_with("as bob"), "{found}");
    }

    #[tokio::test]
    async fn no_answer_and_rejected_credentials_fail() {
        let Err(Problem::Unmet(unreachable)) = verdict(Answer::Unreachable).await else { panic!("it passed") };
        assert!(unreachable.action.contains("--kubeconfig"), "{unreachable:?}");
        let Err(Problem::Unmet(rejected)) = verdict(Answer::status(401, "Unauthorized")).await else { panic!() };
        assert!(rejected.found.contains("401") && rejected.action.contains("log in"), "{rejected:?}");
    }

    #[tokio::test]
    async fn an_anonymous_user_fails_although_the_version_may_be_read() {
        let message = "selfsubjectreviews is forbidden: User \"system:anonymous\" cannot create resource";
        let script = Script::new()
            .always("/version", Answer::json(&serde_json::json!({})))
            .always("selfsubjectreviews", Answer::status(403, message));
        let Err(Problem::Unmet(finding)) = run(&scripted(script, &[])).await else { panic!("it passed") };
        assert!(finding.found.contains("anonymous") && finding.action.contains("log in"), "{finding:?}");
    }
}
