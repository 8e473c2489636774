//! The task that loads the checkpoint, then watches.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    checkpoint::{Ledger, Saved, Store, StoreError},
    runtime::{Backoff, Check, LogOnce},
    watch::{Prepared, Scopes, SyncStates},
};

/// Minimum time of 403 responses before the permission is considered missing. An API server that has just started
/// rejects everything until it has read the roles.
const FORBIDDEN_PATIENCE: Duration = Duration::from_secs(10);
/// Number of 403 responses before the permission is considered missing.
const FORBIDDEN_TRIES: u32 = 5;

/// A task of the watch ended before the shutdown.
#[derive(Debug, thiserror::Error)]
#[error("a task of the watch ended")]
pub(super) struct Ended;

pub(super) struct WatchTask {
    pub(super) scopes: Arc<Scopes>,
    pub(super) prepared: Prepared,
    pub(super) states: SyncStates,
    pub(super) store: Option<Arc<Store>>,
    pub(super) ledger: Arc<Ledger>,
    /// True if the process was ready before. Its webhook keeps answering while it takes over from another replica.
    pub(super) was_ready: bool,
}

impl WatchTask {
    /// Watches until `shutdown`. Retries while the API server is unavailable, also at the start.
    pub(super) async fn run(self, check: Arc<Check>, shutdown: CancellationToken) -> Result<(), Ended> {
        if !self.was_ready {
            check.not_ready("the API server was not reached yet");
        }
        let Some(saved) = shutdown.run_until_cancelled(load(self.store.as_deref())).await else { return Ok(()) };
        tracing::info!(
            resumed = saved.is_some(),
            "{}",
            if saved.is_some() { "resuming from checkpoint" } else { "starting without a checkpoint" }
        );
        let saved = saved.unwrap_or_default();
        self.ledger.load(&saved);
        let mut running = JoinSet::new();
        for task in self.prepared.tasks(|scope| saved.of_scope(&self.scopes, scope).cloned()) {
            running.spawn(task.work);
        }
        let supervised = async {
            let ended = running.join_next().await;
            if !shutdown.is_cancelled() {
                tracing::error!(?ended, "a task of the watch ended");
                return Err(Ended);
            }
            while running.join_next().await.is_some() {}
            Ok(())
        };
        tokio::select! {
            ended = supervised => ended,
            () = report(self.states, &check, self.was_ready) => Err(Ended),
        }
    }
}

/// The checkpoint of an earlier process, if it can be read.
async fn load(store: Option<&Store>) -> Option<Saved> {
    let store = store?;
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let mut forbidden: Option<(Instant, u32)> = None;
    let mut logged = LogOnce::default();
    loop {
        match store.load().await {
            Ok(saved) => return saved,
            Err(error @ StoreError::Malformed { .. }) => {
                tracing::warn!(%error, "the checkpoint is ignored, earlier events are not caught up");
                return None;
            }
            Err(error) => {
                if logged.is_new(()) {
                    tracing::warn!(%error, "cannot read the checkpoint yet");
                }
                if error.is_forbidden() {
                    let (since, tries) = forbidden.get_or_insert_with(|| (Instant::now(), 0));
                    *tries += 1;
                    if *tries >= FORBIDDEN_TRIES && since.elapsed() >= FORBIDDEN_PATIENCE {
                        tracing::warn!(%error, "cannot read the checkpoint, a restart may lose lines");
                        return None;
                    }
                } else {
                    forbidden = None;
                }
            }
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}

/// Reports the watch's problems in the readiness check until everything was listed once. Later problems are logged and
/// counted only: otherwise a short outage of the API server would remove the webhook from its Service.
async fn report(states: SyncStates, check: &Check, was_ready: bool) {
    let mut changes = states.subscribe();
    loop {
        if states.all_listed() {
            check.ready();
        } else if !was_ready {
            check.not_ready(states.problems().join("; "));
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::json;

    use super::*;
    use crate::watch::testing::{Answer, Script};

    fn store(script: Script) -> Store {
        Store::new(script.start().client(), "ns", "state", ObjectMeta::default())
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_has_not_read_the_roles_yet_costs_no_checkpoint() {
        let content = serde_json::to_string(&Saved { generation: 5, ..Saved::default() }).unwrap();
        let map = json!({"metadata": {"name": "state"}, "data": {"checkpoint.json": content}});
        let mut script = Script::new();
        for _ in 0..3 {
            script = script.on("state", Answer::status(403, "roles not read yet"));
        }
        let script = script.on("state", Answer::Unreachable).always("state", Answer::json(&map));
        assert_eq!(load(Some(&store(script))).await.unwrap().generation, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_permission_that_stays_missing_ends_the_wait() {
        let script = Script::new().always("state", Answer::status(403, "no"));
        assert!(load(Some(&store(script))).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn content_that_is_no_checkpoint_is_ignored() {
        let map = json!({"metadata": {"name": "state"}, "data": {"checkpoint.json": "[1, 2"}});
        assert!(load(Some(&store(Script::new().always("state", Answer::json(&map))))).await.is_none());
    }
}
