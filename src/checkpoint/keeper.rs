//! Saves the checkpoints while they advance.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Ledger, Metrics, Saved, Store, StoreError, Version};
use crate::{leader::Leadership, runtime::Clock};

/// Interval of saves while lines are delivered. A process killed outright repeats what it delivered since the last one.
const PAUSE: Duration = Duration::from_millis(250);
/// Addition to [`PAUSE`] for each 100 scopes, subjects or objects in the checkpoint.
const PAUSE_PER_HUNDRED: Duration = Duration::from_millis(50);
/// Interval of saves while no line is delivered and facts about other objects arrive.
const IDLE_PAUSE: Duration = Duration::from_mins(1);
/// Time for which the first save waits for every scope to start.
const ALL_STARTED: Duration = Duration::from_secs(1);
/// Time limit of the last save. The API server may not answer for a moment, or the permission may have expired.
const LAST_SAVE: Duration = Duration::from_secs(5);
/// Maximum number of attempts of one save to overwrite that of an older process.
const TRIES: usize = 5;

fn pause_after(saved: &Saved) -> Duration {
    let entries: usize = saved.scopes.values().map(|scope| 1 + scope.pending.len() + scope.known.len()).sum::<usize>();
    let hundreds = u32::try_from((entries + saved.agents.len()) / 100).unwrap_or(u32::MAX);
    PAUSE + PAUSE_PER_HUNDRED.saturating_mul(hundreds)
}

/// Saves the checkpoints of one process, or of one term of it.
pub struct Keeper {
    store: Arc<Store>,
    leadership: Leadership,
    metrics: Metrics,
    /// The version that was read or written last; `None` if it is not known.
    version: Option<Version>,
    last: Saved,
    /// The generation and the writer under which this process saves. The generation is 0 until it is known.
    own: (u64, u64),
    failing: bool,
}

impl Keeper {
    /// A keeper that has saved nothing yet. It saves only while this process may send.
    pub fn new(store: Arc<Store>, leadership: Leadership, metrics: Metrics) -> Self {
        let own = (0, fastrand::u64(..));
        Self { store, leadership, metrics, version: None, last: Saved::default(), own, failing: false }
    }

    /// Saves the ledger while it changes, and once more at the end. A failure is logged once and tried again.
    ///
    /// Only the latest process saves: each continues from the generation it has loaded, with one more. A process that
    /// finds a later one in the ConfigMap stops saving, so that it cannot overwrite that one's checkpoint.
    pub async fn keep(mut self, ledger: Arc<Ledger>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
        let saving = self.save_changes(&ledger, &*clock);
        match shutdown.run_until_cancelled(saving).await {
            Some(()) => {
                tracing::warn!("another process saves the checkpoint now, this one no longer does");
                shutdown.cancelled().await;
            }
            None => {
                let _ = tokio::time::timeout(LAST_SAVE, self.save_last(&ledger, &*clock)).await;
            }
        }
    }

    /// Saves the ledger while it changes. Ends if another process saves now.
    async fn save_changes(&mut self, ledger: &Ledger, clock: &dyn Clock) {
        loop {
            tokio::select! {
                () = ledger.changed() => {}
                () = tokio::time::sleep(IDLE_PAUSE) => {}
            }
            if self.version.is_none() && !self.failing && ledger.is_loaded() {
                // Scopes start within milliseconds of each other; one that cannot start is not waited for.
                let _ = tokio::time::timeout(ALL_STARTED, ledger.all_started()).await;
            }
            self.may_save().await;
            let Some(snapshot) = ledger.snapshot(clock.now()) else { continue };
            let pause = pause_after(&snapshot);
            if !self.is_saved(&snapshot) {
                self.metrics.is_outdated();
                if !self.save(snapshot).await {
                    return;
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Saves the ledger once, and tries again if that fails.
    async fn save_last(&mut self, ledger: &Ledger, clock: &dyn Clock) {
        loop {
            self.may_save().await;
            let Some(snapshot) = ledger.snapshot(clock.now()) else { return };
            if self.is_saved(&snapshot) || !self.save(snapshot).await || !self.failing {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits for the permission to save.
    async fn may_save(&mut self) {
        while !self.leadership.may_send() {
            self.metrics.is_outdated();
            self.leadership.changed().await;
        }
    }

    fn is_saved(&self, snapshot: &Saved) -> bool {
        self.version.is_some() && self.last.says_the_same(snapshot)
    }

    /// Saves. False if another process saves now.
    async fn save(&mut self, mut saved: Saved) -> bool {
        if self.own.0 == 0 && saved.generation > 0 {
            self.own.0 = saved.generation.saturating_add(1);
        }
        match self.try_save(&mut saved).await {
            Ok(true) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("saving the checkpoint works again");
                }
                self.last = saved;
                self.metrics.is_saved();
                true
            }
            Ok(false) => false,
            Err(error) => {
                self.version = None;
                self.metrics.failed();
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "cannot save the checkpoint, a restart may repeat lines");
                }
                true
            }
        }
    }

    async fn try_save(&mut self, saved: &mut Saved) -> Result<bool, StoreError> {
        let mut tries = 0;
        loop {
            let version = if let Some(version) = self.version.take() {
                version
            } else {
                let (found, version) = self.store.look().await?;
                if self.own.0 == 0 {
                    self.own.0 = found.map_or(1, |(generation, _)| generation.saturating_add(1));
                }
                if found.is_some_and(|found| found > self.own) {
                    return Ok(false);
                }
                version
            };
            (saved.generation, saved.writer) = self.own;
            tries += 1;
            match self.store.save(saved, &version).await {
                Ok(version) => {
                    self.version = Some(version);
                    return Ok(true);
                }
                Err(error) if error.is_conflict() && tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::json;

    use super::*;
    use crate::{
        leader::{Grantor, Role, Uptime},
        watch::testing::{Answer, Script, Server},
    };

    const PATH: &str = "/configmaps/state";

    /// The ConfigMap as a process of this generation saved it.
    fn saved_by(generation: u64, version: u64) -> Answer {
        let saved = Saved { generation, writer: 1, ..Saved::default() };
        let content = serde_json::to_string(&saved).unwrap();
        Answer::json(&json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "state", "resourceVersion": version.to_string()},
            "data": {"checkpoint.json": content}}))
    }

    fn keeper(script: Script) -> Keeper {
        let store = Store::new(script.start().client(), "ns", "state", ObjectMeta::default());
        Keeper::new(Arc::new(store), Leadership::without_election(), Metrics::default())
    }

    /// The last save of a process that was stopped until after the end of its Lease.
    async fn last_save_without_the_lease(server: &Server) -> (Grantor, impl Future<Output = ()>) {
        let store = Arc::new(Store::new(server.client(), "ns", "state", ObjectMeta::default()));
        let origin = tokio::time::Instant::now();
        let (grantor, leadership) = Leadership::new(Uptime::from_fn(move || origin.elapsed()));
        grantor.set(Role::Leader(1), Duration::from_secs(10));
        let ledger = Ledger::new(Arc::new(crate::watch::Scopes::new(&[])));
        ledger.load(&Saved { generation: 3, ..Saved::default() });
        let keeper = Keeper::new(store, leadership, Metrics::default());
        let shutdown = CancellationToken::new();
        tokio::time::advance(Duration::from_secs(11)).await;
        shutdown.cancel();
        (grantor, keeper.keep(ledger, Arc::new(|| jiff::Timestamp::UNIX_EPOCH), shutdown))
    }

    #[tokio::test]
    async fn a_later_process_keeps_the_checkpoint() {
        let mut keeper = keeper(Script::new().always(PATH, saved_by(9, 7)));
        let own = Saved { generation: 3, ..Saved::default() };
        assert!(!keeper.save(own).await, "the process that continued from generation 8 or 9 saves");
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_without_the_lease_saves_nothing() {
        let server = Script::new().always(PATH, saved_by(3, 7)).start();
        let (_grantor, last_save) = last_save_without_the_lease(&server).await;
        last_save.await;
        assert_eq!(server.seen(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_save_waits_for_the_permission_and_is_tried_again() {
        let script = Script::new().on("fieldManager", Answer::status(500, "etcd")).always(PATH, saved_by(3, 7));
        let server = script.start();
        let (grantor, last_save) = last_save_without_the_lease(&server).await;
        let renew = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(server.seen(), [""; 0], "without the permission");
            grantor.set(Role::Leader(1), Duration::from_secs(20));
        };
        let ((), ()) = tokio::join!(last_save, renew);
        let requests = server.seen();
        let attempts = requests.iter().filter(|request| request.contains("fieldManager")).count();
        assert_eq!(attempts, 2, "{requests:?}");
    }

    #[tokio::test]
    async fn a_write_by_another_is_not_overwritten_unseen() {
        let script = Script::new()
            .on(PATH, saved_by(3, 7))
            .on("fieldManager", Answer::status(409, "the object has been modified"))
            .on(PATH, saved_by(9, 8));
        let mut keeper = keeper(script);
        assert!(!keeper.save(Saved { generation: 3, ..Saved::default() }).await);
    }

    #[tokio::test]
    async fn an_older_process_is_written_over_after_its_last_save() {
        let script = Script::new()
            .on(PATH, saved_by(3, 7))
            .on("fieldManager", Answer::status(409, "the object has been modified"))
            .on(PATH, saved_by(3, 8))
            .on("fieldManager", saved_by(4, 9));
        let mut keeper = keeper(script);
        assert!(keeper.save(Saved { generation: 3, ..Saved::default() }).await);
        assert!(keeper.version.is_some() && !keeper.failing);
    }
}
