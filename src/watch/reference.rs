//! Tokens that a spec takes from a Secret or ConfigMap of the same namespace.
//!
//! Of a Secret, only the requested token is kept, and only in the answer.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::StreamExt;
use kube::{Client, api::GetParams, core::Request};
use logstream_core::{
    correlate::Observation,
    extract::{Holder, Reference, TokenSource},
    identity::{Subject, Uid},
    token::{AgentToken, Sealed},
};
use logstream_runtime::Backoff;
use serde::Deserialize;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    ask::ask,
    failure::{Failure, Reason},
    lookup::QueueFull,
    metrics::{Metrics, ReferenceOutcome},
    names::is_name,
};

/// Maximum number of searches of each [`Lane`]; each takes some 500 bytes while it waits.
const MAX_SEARCHES: usize = 1_024;
/// Maximum number of concurrent requests of each [`Lane`].
const CONCURRENCY: usize = 2;
/// Maximum duration of a search while its object does not exist (or cannot be read just now). A pod with a Secret that
/// is created later waits as well, and starts once it exists.
const PATIENCE_FOR_OBJECTS: Duration = Duration::from_hours(1);
/// The same for an object that is used as a whole (`envFrom`). Shorter, because it may not hold a token at all.
const PATIENCE_FOR_WHOLE_OBJECTS: Duration = Duration::from_mins(10);
/// Maximum duration of a search while its objects exist without the key. Short, because an `envFrom` may not hold a
/// token at all: a cluster with other things than workspaces may have thousands without the key, which must not crowd
/// out the others.
const PATIENCE_FOR_KEYS: Duration = Duration::from_mins(2);
/// Maximum duration of a search without the permission. An API server that has just started refuses everything for a
/// second or two.
const PATIENCE_FOR_PERMISSION: Duration = Duration::from_secs(15);
/// Minimum time between log messages about refusals, for each kind of object.
const REFUSALS_LOGGED_EVERY: Duration = Duration::from_hours(1);

/// Group of searches that never wait for those of the other group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// Searches for a key that the spec names.
    Keys,
    /// Searches for a key that an object may or may not hold (`envFrom`). Half the pods of a cluster have one.
    Possibilities,
}

impl Lane {
    fn of(source: &TokenSource) -> Self {
        match source {
            TokenSource::Reference(references) if references.iter().all(|reference| reference.whole) => {
                Self::Possibilities
            }
            TokenSource::Reference(_) | TokenSource::Value(_) => Self::Keys,
        }
    }
}

/// Handle for requesting tokens in Secrets and ConfigMaps. Clones share the table.
#[derive(Debug, Clone)]
pub struct References {
    table: Table,
    queue: mpsc::Sender<Search>,
}

impl References {
    /// Requests the token of an object's agent. The answer is sent once, as [`Observation::Resolved`], unless
    /// [`References::forget`] is called before. A search that already exists is not started again.
    pub fn ask(&self, subject: Subject, source: TokenSource) -> Result<(), QueueFull> {
        let mut searches = self.table.lock();
        let lane = Lane::of(&source);
        let is_in_lane = |alive: &&Alive| Lane::of(&alive.source) == lane;
        if searches.values().flatten().filter(is_in_lane).count() >= MAX_SEARCHES {
            return Err(QueueFull);
        }
        let of_subject = searches.entry(subject.uid).or_default();
        if of_subject.iter().any(|alive| alive.source == source) {
            return Ok(());
        }
        let forgotten = CancellationToken::new();
        of_subject.push(Alive { source: source.clone(), forgotten: forgotten.clone() });
        drop(searches);
        let uid = subject.uid;
        self.queue.try_send(Search { subject, source, forgotten }).map_err(|refused| {
            let Search { source, forgotten, .. } = refused.into_inner();
            self.table.end(uid, &source, &forgotten);
            QueueFull
        })
    }

    /// Cancels the searches for an object that is gone. They get no answer.
    pub fn forget(&self, uid: Uid) {
        let mut searches = self.table.lock();
        for search in searches.remove(&uid).into_iter().flatten() {
            search.forgotten.cancel();
        }
    }
}

/// Waiting and running searches, by subject.
#[derive(Debug, Clone, Default)]
struct Table(Arc<Mutex<HashMap<Uid, Vec<Alive>>>>);

#[derive(Debug)]
struct Alive {
    source: TokenSource,
    forgotten: CancellationToken,
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uid, Vec<Alive>>> {
        // A panic elsewhere leaves the map intact: each change to it is a single call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a search that ended by itself. If it was forgotten meanwhile, an existing entry belongs to another
    /// search.
    fn end(&self, uid: Uid, source: &TokenSource, forgotten: &CancellationToken) {
        let mut searches = self.lock();
        if forgotten.is_cancelled() {
            return;
        }
        if let Some(of_subject) = searches.get_mut(&uid) {
            of_subject.retain(|alive| alive.source != *source);
            if of_subject.is_empty() {
                searches.remove(&uid);
            }
        }
    }
}

#[derive(Debug)]
struct Search {
    subject: Subject,
    source: TokenSource,
    forgotten: CancellationToken,
}

/// Worker that runs the searches.
pub(super) struct Resolver {
    queue: mpsc::Receiver<Search>,
    table: Table,
    reader: Reader,
    out: mpsc::Sender<Observation>,
    metrics: Metrics,
}

impl Resolver {
    pub(super) fn new(client: Client, out: mpsc::Sender<Observation>, metrics: Metrics) -> (References, Self) {
        let (sender, queue) = mpsc::channel(2 * MAX_SEARCHES);
        let table = Table::default();
        let turns = [Semaphore::new(CONCURRENCY), Semaphore::new(CONCURRENCY)];
        let reader = Reader { client, turns, refusals: Mutex::default() };
        (References { table: table.clone(), queue: sender }, Self { queue, table, reader, out, metrics })
    }

    /// Runs until all [`References`] are dropped or the output is closed.
    pub(super) async fn run(self) {
        let Self { mut queue, table, reader, out, metrics } = self;
        let (table, reader, out, metrics) = (&table, &reader, &out, &metrics);
        let searches = futures::stream::poll_fn(move |context| queue.poll_recv(context));
        let answers = searches
            .map(|Search { subject, source, forgotten }| async move {
                let found = forgotten.run_until_cancelled(reader.search(&subject, &source)).await;
                let Some((token, outcome)) = found else {
                    metrics.reference(ReferenceOutcome::Forgotten);
                    return Ok(());
                };
                metrics.reference(outcome);
                table.end(subject.uid, &source, &forgotten);
                out.send(Observation::Resolved { subject, source, token }).await
            })
            .buffer_unordered(2 * MAX_SEARCHES);
        let mut answers = std::pin::pin!(answers);
        while let Some(Ok(())) = answers.next().await {}
    }
}

/// Result of reading one reference.
enum Look {
    Token(AgentToken),
    /// The key exists, but its value is not a token.
    NotAToken,
    NoKey,
    NoObject,
    Forbidden,
    /// No object with this name can exist.
    Never,
    /// No usable response this time.
    Failed,
}

/// Result of reading all references of a source.
enum Round<'a> {
    Over(Option<AgentToken>, ReferenceOutcome),
    /// Read again until `patience` has passed since the start.
    Again {
        patience: Duration,
        /// A reference that may not be read, if there is one.
        forbidden: Option<&'a Reference>,
    },
}

struct Reader {
    client: Client,
    /// Permits for requests, by lane.
    turns: [Semaphore; 2],
    refusals: Mutex<Refusals>,
}

/// Searches that ended because an object may not be read, since the last log message about it.
#[derive(Debug, Default)]
struct Refusals {
    secrets: Refused,
    config_maps: Refused,
}

#[derive(Debug, Default)]
struct Refused {
    unlogged: u64,
    logged_at: Option<Instant>,
}

impl Refused {
    /// Counts one refusal. Returns the number since the last log message if the next one is due.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.unlogged += 1;
        if self.logged_at.is_some_and(|at| now.duration_since(at) < REFUSALS_LOGGED_EVERY) {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

impl Reader {
    async fn search(&self, subject: &Subject, source: &TokenSource) -> (Option<AgentToken>, ReferenceOutcome) {
        let references = match source {
            TokenSource::Value(token) => return (Some(*token), ReferenceOutcome::Found),
            TokenSource::Reference(references) => references,
        };
        let began = Instant::now();
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let mut is_logged = false;
        loop {
            let (patience, forbidden) = match self.round(subject, references).await {
                Round::Over(token, outcome) => return (token, outcome),
                Round::Again { patience, forbidden } => (patience, forbidden),
            };
            let waited = began.elapsed();
            if let Some(reference) = forbidden
                && waited >= PATIENCE_FOR_PERMISSION
                && !std::mem::replace(&mut is_logged, true)
            {
                self.log_refusal(subject, reference);
            }
            if waited >= patience {
                let is_forbidden = forbidden.is_some();
                return (None, if is_forbidden { ReferenceOutcome::Forbidden } else { ReferenceOutcome::Absent });
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Reads each reference in turn. The first one with its key decides; without one, the search lasts as long as the
    /// most patient of them.
    async fn round<'a>(&self, subject: &Subject, references: &'a [Reference]) -> Round<'a> {
        let (mut longest, mut forbidden) = (None, None);
        for reference in references {
            let patience = match self.look(subject, reference).await {
                Look::Token(token) => return Round::Over(Some(token), ReferenceOutcome::Found),
                Look::NotAToken => return Round::Over(None, ReferenceOutcome::NotAToken),
                // The pod starts without it as well, so there is nothing to wait for.
                Look::NoKey | Look::NoObject if reference.optional => continue,
                Look::Never => continue,
                Look::NoKey => PATIENCE_FOR_KEYS,
                Look::NoObject | Look::Failed if reference.whole => PATIENCE_FOR_WHOLE_OBJECTS,
                Look::NoObject | Look::Failed => PATIENCE_FOR_OBJECTS,
                Look::Forbidden => {
                    forbidden.get_or_insert(reference);
                    PATIENCE_FOR_PERMISSION
                }
            };
            longest = longest.max(Some(patience));
        }
        match longest {
            Some(patience) => Round::Again { patience, forbidden },
            None => Round::Over(None, ReferenceOutcome::Absent),
        }
    }

    async fn look(&self, subject: &Subject, reference: &Reference) -> Look {
        if !is_name(&reference.name) || !is_name(&subject.namespace) {
            return Look::Never;
        }
        match self.read(&subject.namespace, reference).await {
            Ok(Some(value)) => AgentToken::parse(value.expose()).map_or(Look::NotAToken, Look::Token),
            Ok(None) => Look::NoKey,
            Err(failure) => match failure.reason {
                Reason::NotFound => Look::NoObject,
                Reason::Forbidden => Look::Forbidden,
                Reason::Gone
                | Reason::Unauthorized
                | Reason::Refused
                | Reason::Overloaded
                | Reason::Unreachable
                | Reason::Undecodable => {
                    tracing::debug!(namespace = %subject.namespace, name = reference.name, error = %failure,
                        "reference not read");
                    Look::Failed
                }
            },
        }
    }

    /// Returns the value of the key; `None` if the object has no such key.
    async fn read(&self, namespace: &str, reference: &Reference) -> Result<Option<Sealed>, Failure> {
        // The semaphore is never closed. If it were, only the limit would be lost.
        let _turn = self.turns[usize::from(reference.whole)].acquire().await.ok();
        let plural = match reference.holder {
            Holder::Secret => "secrets",
            Holder::ConfigMap => "configmaps",
        };
        let request = Request::new(format!("/api/v1/namespaces/{namespace}/{plural}"));
        let contents: Contents =
            ask(&self.client, request.get(&reference.name, &GetParams::default())).await?.decode()?;
        Ok(contents.value(reference))
    }

    /// Logs a refusal, at most once an hour for Secrets and for ConfigMaps. The metric counts each one.
    fn log_refusal(&self, subject: &Subject, Reference { holder, name, .. }: &Reference) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let (refused, resource) = match holder {
            Holder::Secret => (&mut refusals.secrets, "secrets"),
            Holder::ConfigMap => (&mut refusals.config_maps, "configmaps"),
        };
        let Some(agents) = refused.count(Instant::now()) else { return };
        tracing::warn!(namespace = %subject.namespace, name, subject = %subject, resource, agents,
            "agents get no logs: reading their tokens is forbidden");
    }
}

/// The contents of a Secret or ConfigMap.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Contents {
    /// Base64 in a Secret, text in a ConfigMap.
    data: Option<BTreeMap<String, Sealed>>,
    /// Text in a Secret. An API server does not return it; a stand-in may.
    string_data: Option<BTreeMap<String, Sealed>>,
    /// Base64 in a ConfigMap.
    binary_data: Option<BTreeMap<String, Sealed>>,
}

impl Contents {
    fn value(mut self, Reference { holder, key, .. }: &Reference) -> Option<Sealed> {
        let mut take = |map: fn(&mut Self) -> &mut Option<_>| -> Option<Sealed> {
            map(&mut self).as_mut().and_then(|map: &mut BTreeMap<String, Sealed>| map.remove(key))
        };
        let (plain, encoded) = match holder {
            Holder::Secret => (take(|it| &mut it.string_data), take(|it| &mut it.data)),
            Holder::ConfigMap => (take(|it| &mut it.data), take(|it| &mut it.binary_data)),
        };
        plain.or_else(|| encoded.map(|encoded| decode(&encoded)))
    }
}

/// Decodes base64. A value that is not text becomes an empty text, which is not a token.
fn decode(encoded: &Sealed) -> Sealed {
    let bytes = STANDARD.decode(encoded.expose()).unwrap_or_default();
    Sealed::new(String::from_utf8(bytes).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use logstream_core::resource::Kind;
    use serde_json::{Value, json};

    use super::*;
    use crate::watch::testing::{Answer, Script, Server};

    const TOKEN: &str = "22222222-2222-4333-8444-555555555555";
    const SECRET: &str = "/api/v1/namespaces/ns/secrets/agent";
    const CONFIG_MAP: &str = "/api/v1/namespaces/ns/configmaps/agent";

    fn subject() -> Subject {
        Subject { kind: Kind::Pod, namespace: "ns".into(), name: "dev".into(), uid: Uid::parse("u").unwrap() }
    }

    fn reference(holder: Holder) -> Reference {
        Reference { holder, name: "agent".into(), key: "token".into(), optional: false, whole: false }
    }

    fn secret() -> TokenSource {
        TokenSource::Reference(vec![reference(Holder::Secret)])
    }

    fn holding(data: &Value) -> Answer {
        Answer::json(&json!({"metadata": {"name": "agent"}, "data": data}))
    }

    fn encoded(text: &str) -> String {
        STANDARD.encode(text)
    }

    /// The token that a source resolves to, and the time it took.
    async fn resolved(server: &Server, source: TokenSource, metrics: &Metrics) -> (Option<AgentToken>, Duration) {
        let (out, mut observations) = mpsc::channel(1);
        let (references, resolver) = Resolver::new(server.client(), out, metrics.clone());
        references.ask(subject(), source.clone()).unwrap();
        references.ask(subject(), source.clone()).unwrap();
        assert!(!format!("{references:?}").contains(TOKEN));
        let began = Instant::now();
        let table = references.table.clone();
        drop(references);
        resolver.run().await;
        assert!(table.lock().is_empty());
        let answer = observations.recv().await;
        assert!(observations.recv().await.is_none(), "the same search was asked for twice and answered once");
        match answer {
            Some(Observation::Resolved { source: about, token, .. }) if about == source => (token, began.elapsed()),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_read_from_a_secret() {
        let data = json!({"other": "x", "token": encoded(&format!("{TOKEN}\n"))});
        let server = Script::new().on(SECRET, holding(&data)).start();
        let (token, _) = resolved(&server, secret(), &Metrics::default()).await;
        assert_eq!(token.unwrap().expose(), TOKEN);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_reference_that_has_the_key_tells() {
        let server = Script::new()
            .on(SECRET, holding(&json!({"other": ""})))
            .on(CONFIG_MAP, holding(&json!({"token": TOKEN})))
            .start();
        let source = TokenSource::Reference(vec![reference(Holder::Secret), reference(Holder::ConfigMap)]);
        let (token, _) = resolved(&server, source, &Metrics::default()).await;
        assert_eq!(token.unwrap().expose(), TOKEN);
        assert_eq!(server.seen(), [SECRET, CONFIG_MAP]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_comes_later_is_waited_for() {
        let server = Script::new()
            .on(SECRET, Answer::status(404, "no"))
            .on(SECRET, Answer::Unreachable)
            .on(SECRET, Answer::status(404, "no"))
            .on(SECRET, holding(&json!({"token": encoded(TOKEN)})))
            .start();
        let (token, took) = resolved(&server, secret(), &Metrics::default()).await;
        assert_eq!(token.unwrap().expose(), TOKEN);
        assert!(took < Duration::from_secs(1 + 2 + 4 + 1), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_after_an_hour_without_the_object_and_sooner_without_the_key() {
        let metrics = Metrics::default();
        let server = Script::new().always(SECRET, Answer::status(404, "no")).start();
        let (token, took) = resolved(&server, secret(), &metrics).await;
        assert_eq!(token, None);
        assert!(took >= PATIENCE_FOR_OBJECTS && took < PATIENCE_FOR_OBJECTS + Duration::from_secs(31), "{took:?}");
        assert!(server.seen().len() < 500, "{}", server.seen().len());

        let server = Script::new().always(SECRET, holding(&json!({}))).start();
        let (token, took) = resolved(&server, secret(), &metrics).await;
        assert_eq!(token, None);
        assert!(took < PATIENCE_FOR_KEYS + Duration::from_secs(31), "{took:?}");
        assert!((metrics.value("references_total{outcome=\"absent\"}") - 2.0).abs() < 0.1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_may_not_be_read_has_no_token() {
        let metrics = Metrics::default();
        let server = Script::new().always(SECRET, Answer::status(403, "secrets is forbidden")).start();
        let (token, took) = resolved(&server, secret(), &metrics).await;
        assert_eq!(token, None);
        assert!(took < PATIENCE_FOR_PERMISSION + Duration::from_secs(31), "{took:?}");
        assert!(metrics.value("references_total{outcome=\"forbidden\"}") > 0.5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_reported_also_next_to_a_missing_object() {
        let server = Script::new()
            .always(CONFIG_MAP, Answer::status(404, "no"))
            .always(SECRET, Answer::status(403, "secrets is forbidden"))
            .start();
        let (_, Resolver { reader, .. }) = Resolver::new(server.client(), mpsc::channel(1).0, Metrics::default());
        let source = TokenSource::Reference(vec![reference(Holder::ConfigMap), reference(Holder::Secret)]);
        let (token, outcome) = reader.search(&subject(), &source).await;
        assert!(token.is_none() && outcome == ReferenceOutcome::Forbidden, "{outcome:?}");
        let refusals = reader.refusals.lock().unwrap();
        assert!(refusals.secrets.logged_at.is_some() && refusals.config_maps.logged_at.is_none(), "{refusals:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_optional_object_that_is_missing_is_absent_at_once() {
        let server = Script::new().always(SECRET, Answer::status(404, "no")).start();
        for whole in [true, false] {
            let optional = Reference { optional: true, whole, ..reference(Holder::Secret) };
            let (token, took) = resolved(&server, TokenSource::Reference(vec![optional]), &Metrics::default()).await;
            assert_eq!((token, took), (None, Duration::ZERO));
        }
        let server = Script::new().always(SECRET, holding(&json!({}))).start();
        let optional = Reference { optional: true, ..reference(Holder::Secret) };
        let (token, took) = resolved(&server, TokenSource::Reference(vec![optional]), &Metrics::default()).await;
        assert_eq!((token, took), (None, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn possibilities_leave_room_for_keys() {
        let (out, _observations) = mpsc::channel(1);
        let (references, _resolver) = Resolver::new(Script::new().start().client(), out, Metrics::default());
        let whole = TokenSource::Reference(vec![Reference { whole: true, ..reference(Holder::Secret) }]);
        let asked = |number: i32| Subject { uid: Uid::parse(&number.to_string()).unwrap(), ..subject() };
        let fill =
            |source: &TokenSource| (0..2_000).take_while(|n| references.ask(asked(*n), source.clone()).is_ok()).count();
        assert_eq!(fill(&whole), MAX_SEARCHES);
        assert_eq!(fill(&secret()), MAX_SEARCHES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_possible_object_is_waited_for_minutes_not_an_hour() {
        let server = Script::new().always(SECRET, Answer::status(404, "no")).start();
        let whole = Reference { whole: true, ..reference(Holder::Secret) };
        let (token, took) = resolved(&server, TokenSource::Reference(vec![whole]), &Metrics::default()).await;
        assert_eq!(token, None);
        let least = PATIENCE_FOR_WHOLE_OBJECTS;
        assert!(took >= least && took < least + Duration::from_secs(31), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_logged_once_an_hour_with_their_number() {
        let mut refused = Refused::default();
        assert_eq!(refused.count(Instant::now()), Some(1));
        for _ in 0..1_000 {
            assert_eq!(refused.count(Instant::now()), None);
        }
        tokio::time::advance(REFUSALS_LOGGED_EVERY).await;
        assert_eq!(refused.count(Instant::now()), Some(1_001));
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_has_not_read_its_roles_yet_is_asked_again() {
        let server = Script::new()
            .on(SECRET, Answer::status(403, "secrets is forbidden"))
            .on(SECRET, holding(&json!({"token": encoded(TOKEN)})))
            .start();
        assert!(resolved(&server, secret(), &Metrics::default()).await.0.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_token_is_counted_and_not_tried_again() {
        let metrics = Metrics::default();
        for value in [encoded("hunter2"), "no base64!".into(), STANDARD.encode([0xff, 0xfe])] {
            let server = Script::new().always(SECRET, holding(&json!({"token": value}))).start();
            assert_eq!(resolved(&server, secret(), &metrics).await.0, None);
            assert_eq!(server.seen().len(), 1);
        }
        assert!((metrics.value("references_total{outcome=\"not_a_token\"}") - 3.0).abs() < 0.1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_would_lead_to_another_namespace_is_never_asked_for() {
        let server = Script::new().start();
        let name = "../../other/secrets/agent".into();
        let source = TokenSource::Reference(vec![Reference { name, ..reference(Holder::Secret) }]);
        assert_eq!(resolved(&server, source, &Metrics::default()).await.0, None);
        assert_eq!(server.seen(), [] as [String; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_forgotten_search_ends_without_an_answer_and_makes_room() {
        let metrics = Metrics::default();
        let server = Script::new().always(SECRET, Answer::status(404, "no")).start();
        let (out, mut observations) = mpsc::channel(1);
        let (references, resolver) = Resolver::new(server.client(), out, metrics.clone());
        let mut number = 0;
        let asked = |number: i32| Subject { uid: Uid::parse(&number.to_string()).unwrap(), ..subject() };
        while references.ask(asked(number), secret()).is_ok() {
            number += 1;
        }
        assert_eq!(number, 1_024);
        let forget = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            (0..number).for_each(|number| references.forget(asked(number).uid));
            references.ask(asked(number), TokenSource::Value(AgentToken::parse(TOKEN).unwrap())).unwrap();
            observations.recv().await
        };
        tokio::select! {
            answer = forget => assert!(matches!(answer, Some(Observation::Resolved { token: Some(_), .. })), "{answer:?}"),
            () = resolver.run() => panic!("the resolver ended"),
        }
        assert!((metrics.value("references_total{outcome=\"forgotten\"}") - 1_024.0).abs() < 0.1);
    }
}
