//! The webhook saw the workspaces that exist.

use futures::FutureExt;
use jiff::Timestamp;

use super::webhook_configuration::read;
use crate::doctor::{
    Context,
    check::{Check, Group, Problem, Severity, Verdict},
    context::EXCLUDED,
    words::counted,
    workspaces::{WorkspacePod, Workspaces},
};

/// Maximum number of pods that are shown.
const SHOWN: usize = 5;

pub(super) const CHECK: Check = Check {
    id: "workspaces-missed",
    group: Group::Workspaces,
    description: "The webhook saw the workspaces",
    expected: "each workspace pod that is younger than the webhook has its annotations",
    severity: Severity::Warning,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let workspaces = context.workspaces().await?;
    let count = counted(workspaces.pods.len(), "workspace pod");
    if context.config.webhook.is_none() || context.config.settings.field_selector.is_some() {
        return Ok(format!("{count}; the webhook is off or annotates none"));
    }
    let configuration = read(context).await?;
    let since = configuration.metadata.creation_timestamp.map(|time| time.0);
    let missed = missed(workspaces, since, context.config.settings.resolve_references);
    if missed.is_empty() {
        return Ok(format!("{count}, none was missed"));
    }
    let shown = missed.iter().take(SHOWN).map(|pod| format!("{}/{}", pod.namespace, pod.name));
    Err(Problem::unmet(
        format!("{} of {count} without an annotation, such as {}", missed.len(), shown.collect::<Vec<_>>().join(", ")),
        "see the checks of the group Webhook. Their lines came from the watch, a little later. Pods that Terraform \
         manages directly lose annotations when the template is applied again",
    ))
}

/// Pods that the webhook should have annotated and did not.
fn missed(workspaces: &Workspaces, since: Option<Timestamp>, references: bool) -> Vec<&WorkspacePod> {
    let is_due = |pod: &&WorkspacePod| pod.created > since && (references || pod.has_plain_token);
    workspaces.pods.iter().filter(is_due).filter(|pod| !pod.is_annotated && pod.namespace != EXCLUDED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::selector::Labels;

    fn pod(created: i64, is_annotated: bool, has_plain_token: bool) -> WorkspacePod {
        WorkspacePod {
            namespace: "a".into(),
            name: format!("dev-{created}"),
            created: Timestamp::from_second(created).ok(),
            labels: Labels::new(),
            is_annotated,
            has_plain_token,
            references: Vec::new(),
        }
    }

    #[test]
    fn only_younger_pods_that_it_may_annotate_count() {
        let pods = vec![pod(50, false, true), pod(200, true, true), pod(201, false, true), pod(202, false, false)];
        let workspaces = Workspaces { pods, ..Workspaces::default() };
        let since = Timestamp::from_second(100).ok();
        let names =
            |references| missed(&workspaces, since, references).iter().map(|pod| pod.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(false), ["dev-201"]);
        assert_eq!(names(true), ["dev-201", "dev-202"]);
    }
}
