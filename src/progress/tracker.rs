//! Which facts are told and not delivered yet.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use logstream_core::{
    correlate::History,
    identity::Uid,
    line::{Mark, ScopeId, Stream},
};
use tokio::sync::Notify;

use super::Saved;
use crate::{deliver::Settled, watch::Scopes};

/// API servers' clocks may differ by so much: pods created this shortly before the last announced one are remembered
/// by UID.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(5);

/// With more undelivered objects than these, the scope is saved as reached only to the first undelivered fact: some
/// lines may then be said twice after a restart, and what is saved stays far below the 1 MiB of a ConfigMap.
const MAX_PENDING: usize = 5_000;

/// Collects what [`Saved`] holds. Shared by the correlating task, which begins facts, and delivery, which settles
/// them; its lock is held for a few map operations.
#[derive(Debug)]
pub struct Progress {
    scopes: Arc<Scopes>,
    state: Mutex<State>,
    told: Notify,
}

#[derive(Debug, Default)]
struct State {
    since: Timestamp,
    told_until: Timestamp,
    announced: VecDeque<(Timestamp, Uid)>,
    reached: HashMap<ScopeId, u64>,
    /// Scopes in a listing: their items come in no order, so nothing is reached before the end.
    listing: HashMap<ScopeId, u64>,
    /// Scopes of pods that were not listed since the start: what their status says of the past is not told yet.
    unlisted: HashSet<ScopeId>,
    outstanding: BTreeMap<Mark, u32>,
}

impl Progress {
    /// Nothing told yet.
    pub fn new(scopes: Arc<Scopes>) -> Arc<Self> {
        Arc::new(Self { scopes, state: Mutex::default(), told: Notify::new() })
    }

    /// Goes on from where the telling begins; to be called before the first fact. That itself is worth saving: were
    /// the process killed before it has told anything, the next one would begin later.
    pub fn start(&self, history: &History, reached: HashMap<ScopeId, u64>) {
        let mut state = self.state();
        state.since = history.since;
        state.told_until = history.told_until;
        state.announced = history.announced.iter().map(|uid| (history.since, *uid)).collect();
        state.reached = reached;
        let of_pods = self.scopes.iter().filter(|(_, scope)| scope.stream == Stream::Pods);
        state.unlisted = of_pods.map(|(id, _)| id).collect();
        self.told.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fact is about to be told, or kept for later: to be settled as often.
    pub fn begin(&self, mark: Mark) {
        *self.state().outstanding.entry(mark).or_default() += 1;
        self.told.notify_one();
    }

    /// A listing of the scope begins.
    pub fn listing(&self, scope: ScopeId) {
        let mut state = self.state();
        let reached = state.reached.get(&scope).copied().unwrap_or_default();
        state.listing.insert(scope, reached);
    }

    /// The listing of the scope is complete.
    pub fn synced(&self, scope: ScopeId) {
        let mut state = self.state();
        state.unlisted.remove(&scope);
        if let Some(reached) = state.listing.remove(&scope) {
            state.reached.insert(scope, reached);
        }
    }

    /// A fact of this resourceVersion was handled: all that comes of it has begun.
    pub fn reached(&self, scope: ScopeId, revision: u64) {
        let mut state = self.state();
        let State { listing, reached, .. } = &mut *state;
        let reached = listing.get_mut(&scope).unwrap_or_else(|| reached.entry(scope).or_default());
        *reached = (*reached).max(revision);
    }

    /// An object was announced.
    pub fn announced(&self, uid: Uid, created: Timestamp) {
        let mut state = self.state();
        state.announced.push_back((created, uid));
        state.since = state.since.max(created - CLOCK_SKEW);
        let since = state.since;
        state.announced.retain(|(created, _)| *created >= since);
    }

    /// How many facts are told and not delivered.
    pub fn outstanding(&self) -> usize {
        self.state().outstanding.len()
    }

    /// Waits until a fact begins or is settled.
    pub async fn changed(&self) {
        self.told.notified().await;
    }

    /// What to save now.
    pub fn snapshot(&self, now: Timestamp) -> Saved {
        let mut state = self.state();
        if state.unlisted.is_empty() && state.listing.is_empty() {
            state.told_until = now;
        }
        let mut reached: BTreeMap<ScopeId, u64> = state.reached.iter().map(|(scope, at)| (*scope, *at)).collect();
        let subjects: BTreeSet<Uid> = state.outstanding.keys().map(|mark| mark.subject).collect();
        let mut pending_events = BTreeMap::new();
        let mut pending_objects = BTreeSet::new();
        let few = subjects.len() <= MAX_PENDING;
        for mark in state.outstanding.keys() {
            if !few {
                let reached = reached.entry(mark.scope).or_default();
                *reached = (*reached).min(mark.revision.saturating_sub(1));
            } else if self.scopes.get(mark.scope).is_some_and(|scope| scope.stream == Stream::Events) {
                let first: &mut u64 = pending_events.entry(mark.subject.to_string()).or_insert(mark.revision);
                *first = (*first).min(mark.revision);
            } else {
                pending_objects.insert(mark.subject.to_string());
            }
        }
        Saved {
            saved_at: now,
            since: state.since,
            told_until: state.told_until,
            reached: reached.into_iter().filter_map(|(scope, at)| Some((self.scopes.get(scope)?.key(), at))).collect(),
            announced: state.announced.iter().map(|(_, uid)| uid.to_string()).collect(),
            pending_events,
            pending_objects,
        }
    }
}

impl Settled for Progress {
    fn settled(&self, mark: Mark) {
        let mut state = self.state();
        if let Some(count) = state.outstanding.get_mut(&mark) {
            *count -= 1;
            if *count == 0 {
                state.outstanding.remove(&mark);
            }
        }
        self.told.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = "events/ns";
    const PODS: &str = "pods/ns";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    struct Case {
        progress: Arc<Progress>,
        events: ScopeId,
        pods: ScopeId,
    }

    fn case() -> Case {
        let scopes = Arc::new(Scopes::new(&["ns".to_owned()]));
        let (events, pods) = (scopes.by_key(EVENTS).unwrap(), scopes.by_key(PODS).unwrap());
        let progress = Progress::new(scopes);
        let history = History { since: at(100), told_until: at(100), ..History::default() };
        progress.start(&history, HashMap::from([(events, 10), (pods, 10)]));
        Case { progress, events, pods }
    }

    #[tokio::test]
    async fn where_the_telling_begins_is_saved_before_anything_is_told() {
        let Case { progress, .. } = case();
        progress.changed().await;
        assert_eq!(progress.snapshot(at(0)).reached, BTreeMap::from([(EVENTS.into(), 10), (PODS.into(), 10)]));
    }

    #[test]
    fn what_happened_meanwhile_is_not_taken_for_told_before_it_was_listed() {
        let Case { progress, pods, .. } = case();
        let told_until = |now| progress.snapshot(at(now)).told_until;
        assert_eq!(told_until(200), at(100));
        progress.listing(pods);
        assert_eq!(told_until(201), at(100));
        progress.synced(pods);
        assert_eq!(told_until(202), at(202));
        progress.listing(pods);
        assert_eq!(told_until(300), at(202), "a list after a broken watch");
        progress.synced(pods);
        assert_eq!(told_until(301), at(301));
    }

    #[test]
    fn an_undelivered_fact_is_pending_and_holds_nothing_else_back() {
        let Case { progress, events, pods } = case();
        let (event, pod) = (
            Mark { scope: events, revision: 20, subject: uid("slow") },
            Mark { scope: pods, revision: 21, subject: uid("slow") },
        );
        progress.begin(event);
        progress.begin(event);
        progress.begin(pod);
        progress.reached(events, 30);
        progress.settled(event);
        let saved = progress.snapshot(at(0));
        assert_eq!(saved.reached[EVENTS], 30);
        assert_eq!(saved.pending_events, BTreeMap::from([(uid("slow").to_string(), 20)]));
        assert_eq!(saved.pending_objects, BTreeSet::from([uid("slow").to_string()]));
        progress.settled(event);
        progress.settled(pod);
        let saved = progress.snapshot(at(0));
        assert!(saved.pending_events.is_empty() && saved.pending_objects.is_empty());
    }

    #[test]
    fn a_listing_reaches_nothing_before_its_end() {
        let Case { progress, pods, .. } = case();
        progress.listing(pods);
        progress.reached(pods, 99);
        assert_eq!(progress.snapshot(at(0)).reached[PODS], 10);
        progress.listing(pods);
        progress.reached(pods, 50);
        progress.synced(pods);
        assert_eq!(progress.snapshot(at(0)).reached[PODS], 50);
        progress.reached(pods, 60);
        assert_eq!(progress.snapshot(at(0)).reached[PODS], 60);
    }

    #[test]
    fn only_the_pods_of_the_last_seconds_are_remembered_as_announced() {
        let Case { progress, .. } = case();
        progress.announced(uid("old"), at(200));
        progress.announced(uid("new"), at(300));
        progress.announced(uid("skewed"), at(296));
        let saved = progress.snapshot(at(0));
        assert_eq!(saved.since, at(295));
        assert_eq!(saved.announced, BTreeSet::from([uid("new").to_string(), uid("skewed").to_string()]));
    }

    #[test]
    fn what_is_saved_is_small_whatever_is_pending() {
        let Case { progress, events, .. } = case();
        progress.reached(events, 1_000_000);
        for n in 0..=MAX_PENDING as u64 {
            progress.begin(Mark { scope: events, revision: 5_000 + n, subject: uid(&n.to_string()) });
        }
        let saved = progress.snapshot(at(0));
        assert!(saved.pending_events.is_empty());
        assert_eq!(saved.reached[EVENTS], 4_999);
    }

    #[test]
    fn what_was_saved_is_where_the_next_process_begins() {
        let Case { progress, events, pods } = case();
        progress.begin(Mark { scope: events, revision: 20, subject: uid("a") });
        progress.begin(Mark { scope: pods, revision: 20, subject: uid("b") });
        progress.reached(events, 30);
        progress.announced(uid("c"), at(200));
        progress.synced(pods);
        let saved: Saved = serde_json::from_str(&serde_json::to_string(&progress.snapshot(at(500))).unwrap()).unwrap();
        let of_watch = saved.for_watch(&Scopes::new(&["ns".to_owned()]));
        assert_eq!(of_watch.revisions[&events], 30);
        assert_eq!(of_watch.pending, HashMap::from([(uid("a"), 20)]));
        let history = saved.history();
        assert_eq!((history.since, history.told_until), (at(195), at(485)));
        assert_eq!((history.announced, history.pending), (HashSet::from([uid("c")]), HashSet::from([uid("b")])));
    }
}
