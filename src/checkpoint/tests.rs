//! A model of facts, and of processes that report them, end at any moment and start again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use logstream_core::{
    checkpoint::{Checkpoint, FactKey},
    fact_id::{FactId, ScopeId},
    identity::{Subject, Uid},
    resource::Kind,
    token::AgentToken,
};
use proptest::prelude::*;

use super::{Ledger, Saved, ledger::MAX_PENDING};
use crate::{deliver::AckSink, watch::Scopes};

const EVENTS: &str = "events/ns";
const PODS: &str = "pods/ns";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn uid(number: usize) -> Uid {
    Uid::parse(&number.to_string()).unwrap()
}

fn subject(number: usize) -> Subject {
    Subject { kind: Kind::Pod, namespace: "ns".into(), name: "pod".into(), uid: uid(number) }
}

/// A fact at the API server: the creation of a pod, or an Event about one.
#[derive(Debug, Clone, Copy)]
struct Fact {
    subject: usize,
    revision: u64,
    is_event: bool,
    delivered: usize,
    /// True if it was delivered and a later save covers it.
    saved: bool,
    may_repeat: bool,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Create,
    Event(usize),
    List { events: bool, breaks_off: bool },
    Deliver(usize),
    Save { fails: bool },
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Create),
        3 => (0..6_usize).prop_map(Step::Event),
        4 => (any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(events, breaks_off)| Step::List { events, breaks_off }),
        5 => any::<usize>().prop_map(Step::Deliver),
        3 => prop::bool::weighted(0.2).prop_map(|fails| Step::Save { fails }),
        1 => Just(Step::Kill),
    ]
}

/// One process.
struct Process {
    ledger: Arc<Ledger>,
    /// Checkpoint from which each watch continues, and true once it has listed.
    watches: HashMap<ScopeId, (Checkpoint, bool)>,
    /// Scopes in the middle of a list.
    broken: BTreeSet<ScopeId>,
    /// Facts that were reported and not delivered.
    queue: Vec<(usize, FactId)>,
    reported: BTreeSet<usize>,
}

struct Model {
    scopes: Arc<Scopes>,
    facts: Vec<Fact>,
    revision: u64,
    stored: String,
    process: Process,
}

impl Model {
    fn new() -> Self {
        let scopes = Arc::new(Scopes::new(&["ns".to_owned()]));
        let stored = serde_json::to_string(&Saved::default()).unwrap();
        let process = Process::start(&scopes, &stored);
        Self { scopes, facts: Vec::new(), revision: 10, stored, process }
    }

    fn scope(&self, is_event: bool) -> ScopeId {
        self.scopes.by_key(if is_event { EVENTS } else { PODS }).unwrap()
    }

    fn now(&self) -> Timestamp {
        at(i64::try_from(self.revision).unwrap())
    }

    fn happen(&mut self, subject: usize, is_event: bool) {
        self.revision += 1;
        let revision = self.revision;
        self.facts.push(Fact { subject, revision, is_event, delivered: 0, saved: false, may_repeat: false });
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Create => self.happen(1_000 + self.facts.len(), false),
            Step::Event(subject) => self.happen(subject, true),
            Step::List { events, breaks_off } => self.list(self.scope(events), events, breaks_off),
            Step::Deliver(which) if !self.process.queue.is_empty() => {
                // Lines of one subject are delivered in order.
                let (_, chosen) = self.process.queue[which % self.process.queue.len()];
                let same =
                    |(_, fact_id): &(usize, FactId)| (fact_id.scope, fact_id.subject) == (chosen.scope, chosen.subject);
                let first = self.process.queue.iter().position(same).unwrap();
                let (fact, fact_id) = self.process.queue.remove(first);
                self.facts[fact].delivered += 1;
                self.process.ledger.ack(fact_id);
            }
            Step::Deliver(_) => {}
            Step::Save { fails } => self.save(fails),
            Step::Kill => self.kill(),
        }
    }

    /// Reports new facts as a watch and the correlator do, in the order of names as in a list.
    fn list(&mut self, scope: ScopeId, is_event: bool, breaks_off: bool) {
        let now = self.now();
        let Process { ledger, watches, broken, queue, reported } = &mut self.process;
        let (from, listed) = watches.get_mut(&scope).unwrap();
        ledger.listing(scope);
        broken.insert(scope);
        let mut order: Vec<usize> = (0..self.facts.len()).filter(|n| self.facts[*n].is_event == is_event).collect();
        order.sort_by_key(|n| (self.facts[*n].subject * 7) % 11);
        let end = if breaks_off { order.len() / 2 } else { order.len() };
        for n in order.into_iter().take(end) {
            let fact = self.facts[n];
            let (about, created) = (uid(fact.subject), at(i64::try_from(fact.revision).unwrap()));
            let pending = from.pending.get(&about).is_some_and(|first| fact.revision >= *first || !is_event);
            let is_news = (fact.revision > from.revision || (!*listed && pending))
                && (is_event || !from.was_announced(about, Some(created)))
                && !reported.contains(&n);
            if is_news {
                reported.insert(n);
                let key = if is_event { FactKey::EVENT } else { FactKey::CREATED };
                let fact_id = FactId { scope, revision: fact.revision, subject: about, fact: key };
                ledger.track(fact_id);
                queue.push((n, fact_id));
                if !is_event {
                    ledger.announced(&subject(fact.subject), created);
                    ledger.created(about, created);
                }
            }
            ledger.reached(scope, fact.revision, now);
        }
        if !breaks_off {
            ledger.synced(scope, now);
            broken.remove(&scope);
            *listed = true;
        }
    }

    fn save(&mut self, fails: bool) {
        let saved = self.process.ledger.snapshot(self.now()).unwrap();
        if fails {
            return;
        }
        self.stored = serde_json::to_string(&saved).unwrap();
        for n in 0..self.facts.len() {
            let scope = self.scope(self.facts[n].is_event);
            let covered = self.process.watches[&scope].1 && !self.process.broken.contains(&scope);
            self.facts[n].saved |= self.facts[n].delivered > 0 && covered;
        }
    }

    fn kill(&mut self) {
        for fact in &mut self.facts {
            fact.may_repeat |= fact.delivered > 0 && !fact.saved;
        }
        self.process = Process::start(&self.scopes, &self.stored);
    }

    fn finish(&mut self) {
        for events in [true, false] {
            self.list(self.scope(events), events, false);
        }
        while !self.process.queue.is_empty() {
            self.apply(Step::Deliver(0));
        }
    }
}

impl Process {
    fn start(scopes: &Arc<Scopes>, stored: &str) -> Self {
        let saved: Saved = serde_json::from_str(stored).unwrap();
        let ledger = Ledger::new(scopes.clone());
        ledger.load(&saved);
        let mut watches = HashMap::new();
        for (id, _) in scopes.iter() {
            let from = saved.of_scope(scopes, id).cloned().unwrap_or_else(|| Checkpoint::now(10, at(10)));
            ledger.started(id, from.clone());
            watches.insert(id, (from, false));
        }
        let (broken, queue, reported) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        Self { ledger, watches, broken, queue, reported }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn invariant_9_every_fact_is_delivered_and_once_but_for_unsaved_ones(
        steps in prop::collection::vec(step(), 1..120)
    ) {
        let mut model = Model::new();
        // The start of the first process is saved at once.
        model.save(false);
        for step in steps {
            model.apply(step);
        }
        model.finish();
        for fact in &model.facts {
            prop_assert!(fact.delivered > 0, "lost: {fact:?}");
            prop_assert!(fact.delivered == 1 || fact.may_repeat, "repeated: {fact:?}");
        }
    }
}

#[test]
fn pending_facts_outlive_any_number_of_processes_that_end_before_their_lists() {
    let mut model = Model::new();
    model.save(false);
    for subject in 0..24 {
        model.happen(subject, true);
        model.happen(100 + subject, false);
    }
    model.list(model.scope(true), true, false);
    model.list(model.scope(false), false, false);
    model.save(false);
    for _ in 0..3 {
        model.kill();
        model.save(false);
        model.list(model.scope(false), false, true);
        model.save(false);
    }
    model.finish();
    assert!(model.facts.iter().all(|fact| fact.delivered == 1), "{:?}", model.facts);
}

#[test]
fn with_more_pending_subjects_than_there_is_room_for_nothing_is_lost() {
    let mut model = Model::new();
    model.save(false);
    for subject in 0..=MAX_PENDING {
        model.happen(subject, true);
        model.happen(100_000 + subject, false);
    }
    model.list(model.scope(true), true, false);
    model.list(model.scope(false), false, false);
    model.save(false);
    assert!(model.stored.len() < 600 * 1024, "{}", model.stored.len());
    model.kill();
    model.save(false);
    model.kill();
    model.finish();
    let lost = model.facts.iter().filter(|fact| fact.delivered == 0).count();
    assert_eq!(lost, 0);
}

fn ledger() -> (Arc<Ledger>, ScopeId, ScopeId) {
    let scopes = Arc::new(Scopes::new(&["ns".to_owned()]));
    let (events, pods) = (scopes.by_key(EVENTS).unwrap(), scopes.by_key(PODS).unwrap());
    let ledger = Ledger::new(scopes);
    ledger.load(&Saved::default());
    for scope in [events, pods] {
        ledger.started(scope, Checkpoint::now(10, at(100)));
    }
    (ledger, events, pods)
}

fn saved(ledger: &Ledger, key: &str) -> Checkpoint {
    ledger.snapshot(at(9_999)).unwrap().scopes.remove(key).unwrap()
}

#[test]
fn status_counts_as_read_up_to_the_last_fact_and_not_to_the_save() {
    let (ledger, _, pods) = ledger();
    assert_eq!(saved(&ledger, PODS).status_until, at(100));
    ledger.listing(pods);
    ledger.reached(pods, 11, at(300));
    assert_eq!(saved(&ledger, PODS).status_until, at(100), "a list under way");
    ledger.synced(pods, at(301));
    assert_eq!(saved(&ledger, PODS).status_until, at(286));
    ledger.reached(pods, 12, at(400));
    assert_eq!(saved(&ledger, PODS).status_until, at(385), "a watch that hangs since then has read no more");
}

#[test]
fn facts_are_known_once_they_are_delivered() {
    let (ledger, _, pods) = ledger();
    ledger.listing(pods);
    ledger.synced(pods, at(200));
    let ended = FactKey::of_status(77, true);
    let fact_id = FactId { scope: pods, revision: 12, subject: uid(1), fact: ended };
    ledger.track(fact_id);
    ledger.known(pods, uid(1), [ended].into());
    let checkpoint = saved(&ledger, PODS);
    assert_eq!(checkpoint.pending, BTreeMap::from([(uid(1), 12)]));
    assert_eq!(checkpoint.known, BTreeMap::from([(uid(1), [FactKey::CREATED].into())]));
    ledger.ack(fact_id);
    let checkpoint = saved(&ledger, PODS);
    assert_eq!((checkpoint.pending.len(), &checkpoint.known), (0, &BTreeMap::from([(uid(1), [ended].into())])));
    ledger.known(pods, uid(1), BTreeSet::new());
    assert!(saved(&ledger, PODS).known.is_empty());
}

#[test]
fn a_fact_is_a_reason_to_save_once_it_is_delivered() {
    let (ledger, _, pods) = ledger();
    while ledger.changed().now_or_never().is_some() {}
    let fact = FactId { scope: pods, subject: uid(1), revision: 11, fact: FactKey::CREATED };
    ledger.track(fact);
    assert!(ledger.changed().now_or_never().is_none());
    ledger.ack(fact);
    assert!(ledger.changed().now_or_never().is_some());
}

#[test]
fn nothing_is_saved_of_a_scope_that_is_not_known_or_before_the_load() {
    let scopes = Arc::new(Scopes::new(&["ns".to_owned()]));
    let pods = scopes.by_key(PODS).unwrap();
    let ledger = Ledger::new(scopes);
    assert_eq!(ledger.snapshot(at(0)), None);
    ledger.load(&Saved::default());
    ledger.reached(pods, 7, at(0));
    assert_eq!(ledger.snapshot(at(0)).unwrap().scopes, BTreeMap::new());
}

#[test]
fn bytes_of_agents_survive_a_restart_and_end_with_them() {
    const TOKEN: &str = "22222222-2222-4333-8444-555555555555";
    let (ledger, ..) = ledger();
    let token = AgentToken::parse(TOKEN).unwrap();
    ledger.set_live(&token, true);
    ledger.spent(&token, 200_000);
    let text = serde_json::to_string(&ledger.snapshot(at(0)).unwrap()).unwrap();
    assert!(!text.contains("2222") && text.contains(&token.fingerprint().to_string()), "{text}");

    let scopes = Arc::new(Scopes::new(&["ns".to_owned()]));
    let next = Ledger::new(scopes);
    next.load(&serde_json::from_str(&text).unwrap());
    assert_eq!(next.spent_before(&token), 200_000);
    assert_eq!(next.snapshot(at(0)).unwrap().agents.len(), 1);
    let later = at(0) + SignedDuration::from_hours(2);
    assert_eq!(next.snapshot(later).unwrap().agents.len(), 0, "no object carries it any more");
}
