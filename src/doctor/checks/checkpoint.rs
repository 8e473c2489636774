//! The checkpoint keeps up with the watched pods.

use std::collections::BTreeMap;

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use logstream_core::checkpoint::Checkpoint;

use crate::{
    checkpoint::{KEY, Saved},
    config::Namespaces,
    doctor::{
        Context,
        access::Access,
        check::{Check, Group, Problem, Severity, Verdict},
        words::counted,
        workspaces::Change,
    },
};

/// Maximum age of a change that is not saved. The program saves within a minute after a change.
const PATIENCE: SignedDuration = SignedDuration::from_mins(3);
const ACTION: &str = "look for `cannot save the checkpoint` and `watch failing` in the program's log";

pub(super) const CHECK: Check = Check {
    id: "checkpoint",
    group: Group::Program,
    description: "The checkpoint is up to date",
    expected: "the checkpoint ConfigMap covers each change of a watched pod that is older than three minutes",
    severity: Severity::Failure,
    fatal: false,
    retry: true,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let Some(state) = &context.config.state else {
        let found = "there is none: the checkpoint is kept in memory only, and a restart loses what happens meanwhile";
        return Err(Problem::doubtful(found, "set --state-namespace"));
    };
    let get = Access::new("get", "", "configmaps").within(&*state.namespace).named(&state.name);
    let Some(map) = context.api.find::<ConfigMap>(&get).await? else {
        let found = format!("the ConfigMap {} does not exist in {}", state.name, state.namespace);
        return Err(Problem::unmet(found, ACTION));
    };
    let text = map.data.unwrap_or_default().remove(KEY).unwrap_or_default();
    let Ok(saved) = serde_json::from_str::<Saved>(&text) else {
        let action =
            format!("delete the ConfigMap {} and restart the program; events until then are not caught up", state.name);
        return Err(Problem::unmet("its content cannot be read", action));
    };
    let pods = &context.workspaces().await?.changes;
    judge(&saved, &context.config.settings.namespaces, pods, context.clock.now())
}

fn judge(saved: &Saved, namespaces: &Namespaces, changes: &[Change], now: Timestamp) -> Verdict {
    let of_namespace = |namespace: &str| {
        let key = if matches!(namespaces, Namespaces::All) { "*" } else { namespace };
        saved.scopes.get(&format!("pods/{key}"))
    };
    if let Namespaces::Listed(names) = namespaces
        && let Some(missing) = names.iter().find(|name| of_namespace(name).is_none())
    {
        return Err(Problem::unmet(format!("it has no entry for pods in {missing}"), ACTION));
    }
    let is_settled = |change: &&Change| now.duration_since(change.at) > PATIENCE;
    let is_covered = |change: &Change| {
        of_namespace(&change.namespace).is_some_and(|checkpoint| checkpoint.revision >= change.revision)
    };
    let late: Vec<_> = changes.iter().filter(is_settled).filter(|change| !is_covered(change)).collect();
    if let Some(oldest) = late.iter().min_by_key(|change| change.at) {
        let age = now.duration_since(oldest.at).as_secs();
        let found = format!(
            "it does not cover {} changed pods, such as {}/{}, which changed {age} s ago",
            late.len(),
            oldest.namespace,
            oldest.name
        );
        return Err(Problem::unmet(found, ACTION));
    }
    let pending = pending(&saved.scopes);
    let waiting = match pending {
        0 => String::new(),
        count => format!("; undelivered lines of {}", counted(count, "object")),
    };
    Ok(format!("generation {}, {} scopes{waiting}", saved.generation, saved.scopes.len()))
}

fn pending(scopes: &BTreeMap<String, Checkpoint>) -> usize {
    scopes.values().map(|checkpoint| checkpoint.pending.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn judged(revision: u64, changed: i64) -> Verdict {
        let scopes = [("pods/a".to_owned(), Checkpoint::now(revision, at(0)))].into();
        let saved = Saved { scopes, ..Saved::default() };
        let change = Change { namespace: "a".into(), name: "dev".into(), revision: 50, at: at(changed) };
        judge(&saved, &Namespaces::Listed(vec!["a".into()]), &[change], at(1_000))
    }

    #[test]
    fn an_old_change_that_is_not_covered_fails() {
        let Err(Problem::Unmet(finding)) = judged(49, 800) else { panic!("it passed") };
        assert!(finding.found.contains("a/dev") && finding.found.contains("200 s ago"), "{finding:?}");
        assert!(judged(50, 800).is_ok(), "covered");
        assert!(judged(49, 900).is_ok(), "too recent");
    }

    #[test]
    fn a_namespace_without_an_entry_fails() {
        let namespaces = Namespaces::Listed(vec!["b".into()]);
        assert!(matches!(judge(&Saved::default(), &namespaces, &[], at(0)), Err(Problem::Unmet(_))));
    }
}
