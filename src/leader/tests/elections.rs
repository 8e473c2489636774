//! Electors on one API server.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::api::Api;
use crate::{
    leader::{Elector, Leadership, Metrics, Role, Store, Timing, Uptime},
    runtime::Readiness,
};

const PATIENCE: Duration = Duration::from_mins(2);

struct Replica {
    leadership: Leadership,
    shutdown: CancellationToken,
    done: CancellationToken,
    readiness: Readiness,
    task: JoinSet<()>,
}

impl Replica {
    fn start(api: &Api, identity: &str) -> Self {
        let timing = Timing::default();
        let store = Store::new(api.client(), "ns", "lease", ObjectMeta::default(), Duration::from_secs(2));
        let origin = Instant::now();
        let uptime = Uptime::from_fn(move || Duration::from_secs(1_000) + origin.elapsed());
        let clock = Arc::new(move || Timestamp::UNIX_EPOCH + origin.elapsed());
        let (elector, leadership) = Elector::new(identity.to_owned(), timing, uptime, clock, Metrics::default());
        let (shutdown, done) = (CancellationToken::new(), CancellationToken::new());
        let readiness = Readiness::new();
        let mut task = JoinSet::new();
        task.spawn(elector.run(store, readiness.check("leader election"), shutdown.clone(), done.clone()));
        Self { leadership, shutdown, done, readiness, task }
    }

    async fn leads(&mut self) -> u64 {
        timeout(PATIENCE, self.leadership.leads()).await.expect("it leads")
    }

    async fn follows(&mut self) {
        let follows = async {
            while self.leadership.role() != Role::Follower {
                self.leadership.changed().await;
            }
        };
        timeout(PATIENCE, follows).await.expect("it follows");
    }

    /// Ends the process gracefully.
    async fn end(mut self) {
        self.shutdown.cancel();
        self.done.cancel();
        timeout(PATIENCE, self.task.join_next()).await.expect("it ends").unwrap().unwrap();
    }

    /// Ends the process like kill -9.
    fn kill(mut self) {
        self.task.abort_all();
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_two_replicas_leads_and_both_are_ready() {
    let api = Api::new();
    let mut first = Replica::start(&api, "a");
    assert_eq!(first.leads().await, 1);
    assert!(first.leadership.may_send());
    let mut second = Replica::start(&api, "b");
    second.follows().await;
    assert!(!second.leadership.may_send());
    assert_eq!(api.holder().as_deref(), Some("a"));
    assert_eq!(api.field("leaseTransitions"), json!(1));
    assert!(first.readiness.snapshot().is_ready() && second.readiness.snapshot().is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_release_hands_the_lease_over_at_once() {
    let api = Api::new();
    let mut first = Replica::start(&api, "a");
    first.leads().await;
    let mut second = Replica::start(&api, "b");
    second.follows().await;
    let start = Instant::now();
    first.end().await;
    second.leads().await;
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    assert_eq!(api.field("leaseTransitions"), json!(2));
}

#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_followed_once_its_lease_has_expired() {
    let api = Api::new();
    let mut first = Replica::start(&api, "a");
    first.leads().await;
    let mut second = Replica::start(&api, "b");
    second.follows().await;
    let start = Instant::now();
    first.kill();
    second.leads().await;
    // It may have been renewed just before, or almost one retry period before.
    let waited = start.elapsed().as_secs_f64();
    assert!((8.5..10.5).contains(&waited), "{waited} s");
}

#[tokio::test(start_paused = true)]
async fn permission_ends_while_the_api_server_is_away_and_the_term_goes_on_after_it() {
    let api = Api::new();
    let mut leader = Replica::start(&api, "a");
    let term = leader.leads().await;
    api.set_away(true);
    tokio::time::sleep(Timing::default().renew_deadline + Duration::from_secs(1)).await;
    assert!(!leader.leadership.may_send());
    assert_eq!(leader.leadership.role(), Role::Leader(term));
    assert!(leader.readiness.snapshot().is_ready());
    api.set_away(false);
    timeout(PATIENCE, leader.leadership.changed()).await.expect("the permission comes back");
    assert!(leader.leadership.may_send());
    assert_eq!(leader.leadership.role(), Role::Leader(term));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_leaves_does_not_take_a_released_lease() {
    let api = Api::new();
    let mut first = Replica::start(&api, "a");
    first.leads().await;
    let mut second = Replica::start(&api, "b");
    second.follows().await;
    second.shutdown.cancel();
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.end().await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!((api.holder(), second.leadership.role()), (None, Role::Follower));
    second.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_read_shows_in_readiness() {
    let api = Api::new();
    api.set_away(true);
    let replica = Replica::start(&api, "a");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!replica.readiness.snapshot().is_ready());
    assert!(!replica.leadership.may_send());
}
