//! Lookups of objects that are still unknown when an Event about them arrives.

use std::sync::Arc;

use futures::StreamExt;
use kube::{
    Client,
    api::{GetParams, ListParams},
    core::Request,
};
use logstream_core::{
    correlate::{LookupFailed, Object, Observation, Presence},
    identity::Subject,
    object::{Meta, Pod, Workload},
    resource::{Kind, Resource},
};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{
    ask::ask,
    deadlines,
    failure::{Failure, Reason},
    metrics::{LookupOutcome, Metrics},
    names::is_name,
    partial::{Decoded, Fact, Partial, path},
    scope::Scopes,
    selectors::Selectors,
};

/// Maximum number of waiting lookups. A lookup takes milliseconds, so a full queue means that the API server is
/// unhealthy.
const QUEUE: usize = 1_024;
/// Maximum number of concurrent lookups: enough for bursts, without a noticeable load on the API server.
const CONCURRENCY: usize = 4;
/// Maximum number of attempts of a lookup, over about ten seconds.
const TRIES: u32 = 5;

/// The request was rejected because too many are waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests wait already")]
pub struct QueueFull;

/// Handle for requesting lookups. Clones share the queue.
#[derive(Debug, Clone)]
pub struct Lookups(mpsc::Sender<Question>);

/// A question about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Question {
    /// Looks up the object, if it is selected.
    LookUp(Subject),
    /// Checks the object's presence, because the watch no longer shows it.
    Confirm(Subject),
}

impl Lookups {
    /// Requests an object. The answer is sent once, as [`Observation::LookedUp`]. A rejected request gets none.
    pub fn ask(&self, subject: Subject) -> Result<(), QueueFull> {
        self.0.try_send(Question::LookUp(subject)).map_err(|_| QueueFull)
    }

    /// Requests a check that an object still exists and is selected. The answer is sent once, as
    /// [`Observation::PresenceChecked`]. A rejected request gets none.
    pub fn confirm(&self, subject: Subject) -> Result<(), QueueFull> {
        self.0.try_send(Question::Confirm(subject)).map_err(|_| QueueFull)
    }
}

/// Worker that serves the lookups.
pub(super) struct Lookup {
    queue: mpsc::Receiver<Question>,
    client: Client,
    scopes: Arc<Scopes>,
    selectors: Selectors,
    out: mpsc::Sender<Observation>,
    metrics: Metrics,
}

impl Lookup {
    pub(super) fn new(
        client: Client,
        scopes: Arc<Scopes>,
        selectors: Selectors,
        out: mpsc::Sender<Observation>,
        metrics: Metrics,
    ) -> (Lookups, Self) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Lookups(sender), Self { queue, client, scopes, selectors, out, metrics })
    }

    /// Serves until all [`Lookups`] are dropped or the output is closed.
    pub(super) async fn run(self) {
        let Self { mut queue, client, scopes, selectors, out, metrics } = self;
        let (client, scopes, selectors, out, metrics) = (&client, &scopes, &selectors, &out, &metrics);
        let requests = futures::stream::poll_fn(move |context| queue.poll_recv(context));
        let answers = requests
            .map(|question| async move {
                let answer = match question {
                    Question::LookUp(subject) => {
                        let found = find(client, selectors, &subject).await;
                        metrics.lookup(outcome(found.as_ref().map(Option::is_some)));
                        let scope = scopes.covering(Resource::Objects(subject.kind), &subject.namespace);
                        Observation::LookedUp { scope, subject, found }
                    }
                    Question::Confirm(subject) => {
                        let presence = presence(client, selectors, &subject).await;
                        metrics.lookup(outcome(presence.as_ref().map(|presence| *presence != Presence::Absent)));
                        Observation::PresenceChecked { subject, presence }
                    }
                };
                out.send(answer).await
            })
            .buffer_unordered(CONCURRENCY);
        let mut answers = std::pin::pin!(answers);
        while let Some(Ok(())) = answers.next().await {}
    }
}

fn outcome(found: Result<bool, &LookupFailed>) -> LookupOutcome {
    match found {
        Ok(true) => LookupOutcome::Found,
        Ok(false) => LookupOutcome::Absent,
        Err(LookupFailed) => LookupOutcome::Failed,
    }
}

/// Checks the presence of an object: first with the user's selectors, then without them.
async fn presence(client: &Client, selectors: &Selectors, subject: &Subject) -> Result<Presence, LookupFailed> {
    if find(client, selectors, subject).await?.is_some() {
        return Ok(Presence::Selected);
    }
    let everything = Selectors::default();
    if *selectors != everything && find(client, &everything, subject).await?.is_some() {
        return Ok(Presence::Unselected);
    }
    Ok(Presence::Absent)
}

/// Looks for the object until there is an answer, or no point in trying again.
async fn find(client: &Client, selectors: &Selectors, subject: &Subject) -> Result<Option<Object>, LookupFailed> {
    if !is_name(&subject.name) || !is_name(&subject.namespace) {
        return Ok(None);
    }
    let mut backoff = deadlines::backoff();
    loop {
        let failure = match look(client, selectors, subject).await {
            Ok(found) => return Ok(found),
            Err(failure) if failure.reason == Reason::NotFound => return Ok(None),
            Err(failure) => failure,
        };
        let wait = backoff.pause();
        if !failure.reason.is_transient() || backoff.tries() >= TRIES {
            tracing::warn!(namespace = %subject.namespace, kind = %subject.kind, name = %subject.name,
                error = %failure, "lookup failed");
            return Err(LookupFailed);
        }
        tokio::time::sleep(wait).await;
    }
}

async fn look(client: &Client, selectors: &Selectors, subject: &Subject) -> Result<Option<Object>, Failure> {
    match subject.kind {
        Kind::Pod => list(client, selectors, subject).await,
        _ => get(client, selectors, subject).await,
    }
}

/// Finds a pod by a list, because only a list applies the user's selectors. A pod that they exclude is not a workspace.
async fn list(client: &Client, selectors: &Selectors, subject: &Subject) -> Result<Option<Object>, Failure> {
    #[derive(Deserialize)]
    struct List {
        items: Option<Vec<Partial<Pod>>>,
    }
    let selectors = selectors.with_name(&subject.name);
    let params =
        ListParams { label_selector: selectors.label_text(), field_selector: selectors.field, ..ListParams::default() };
    let answer = ask(client, request(subject).list(&params)).await?;
    let list: List = answer.decode()?;
    Ok(list.items.into_iter().flatten().find_map(|object| same(subject, object)))
}

async fn get(client: &Client, selectors: &Selectors, subject: &Subject) -> Result<Option<Object>, Failure> {
    let answer = ask(client, request(subject).get(&subject.name, &GetParams::default())).await?;
    Ok(same::<Workload>(subject, answer.decode()?).filter(|object| selectors.selects(object)))
}

fn request(subject: &Subject) -> Request {
    Request::new(path(Resource::Objects(subject.kind), Some(&subject.namespace)))
}

/// Returns the object if it is the requested one, and not another one of the same name.
fn same<T: Decoded>(subject: &Subject, object: Partial<T>) -> Option<Object> {
    let content = object.into_content()?;
    let Meta { name, uid, .. } = content.meta();
    if **name != *subject.name || *uid != Some(subject.uid) {
        return None;
    }
    match content.into_fact(Resource::Objects(subject.kind)) {
        Some(Fact::Object(object)) => Some(object),
        Some(Fact::Event(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use logstream_core::identity::Uid;
    use serde_json::json;

    use super::*;
    use crate::{
        config::LabelSelector,
        watch::testing::{Answer, Script, Server},
    };

    fn subject(kind: Kind, name: &str, uid: &str) -> Subject {
        Subject { kind, namespace: "ns".into(), name: name.into(), uid: Uid::parse(uid).unwrap() }
    }

    async fn answer(server: &Server, subject: Subject) -> Result<Option<Object>, LookupFailed> {
        let selectors =
            Selectors { field: Some("spec.nodeName!=x".into()), label: Some(LabelSelector::parse("team=a").unwrap()) };
        let (out, mut observations) = mpsc::channel(1);
        let (lookups, lookup) = Lookup::new(server.client(), scopes(), selectors, out, Metrics::default());
        lookups.ask(subject.clone()).unwrap();
        drop(lookups);
        lookup.run().await;
        match observations.recv().await {
            Some(Observation::LookedUp { scope, subject: about, found }) if about == subject => {
                assert_eq!(scope, scopes().covering(Resource::Objects(subject.kind), "ns"));
                found
            }
            other => panic!("{other:?}"),
        }
    }

    fn scopes() -> Arc<Scopes> {
        Arc::new(Scopes::new(&["ns".to_owned()]))
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_pod_is_looked_for_with_and_without_the_users_selection() {
        let pod = json!({"metadata": {"name": "dev", "namespace": "ns", "uid": "u"}});
        let label = Some(LabelSelector::parse("team=a").unwrap());
        for (selected, exists, expected) in [
            (Answer::list(9, std::slice::from_ref(&pod)), Answer::list(9, &[]), Ok(Presence::Selected)),
            (Answer::list(9, &[]), Answer::list(9, std::slice::from_ref(&pod)), Ok(Presence::Unselected)),
            (Answer::list(9, &[]), Answer::list(9, &[]), Ok(Presence::Absent)),
            (Answer::list(9, &[]), Answer::status(403, "no"), Err(LookupFailed)),
        ] {
            let server = Script::new().on("labelSelector=team=a", selected).always("/pods?", exists).start();
            let (out, mut observations) = mpsc::channel(1);
            let selectors = Selectors { field: None, label: label.clone() };
            let (lookups, lookup) = Lookup::new(server.client(), scopes(), selectors, out, Metrics::default());
            lookups.confirm(subject(Kind::Pod, "dev", "u")).unwrap();
            drop(lookups);
            lookup.run().await;
            let Some(Observation::PresenceChecked { presence, .. }) = observations.recv().await else {
                panic!("no answer")
            };
            assert_eq!(presence, expected, "{:?}", server.seen());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_is_looked_up_with_the_users_selection() {
        let pod = json!({"metadata": {"name": "dev", "namespace": "ns", "uid": "u"}});
        let server = Script::new().on("/api/v1/namespaces/ns/pods?", Answer::list(9, &[pod])).start();
        let found = answer(&server, subject(Kind::Pod, "dev", "u")).await;
        assert!(matches!(found, Ok(Some(Object::Pod(_)))));
        let seen = server.seen();
        assert!(seen[0].contains("fieldSelector=spec.nodeName!=x,metadata.name=dev&labelSelector=team=a"), "{seen:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_not_selected_is_none() {
        let server = Script::new().on("/pods?", Answer::list(9, &[])).start();
        assert!(matches!(answer(&server, subject(Kind::Pod, "dev", "u")).await, Ok(None)));
    }

    fn job(team: &str) -> serde_json::Value {
        json!({
            "metadata": {"name": "dev", "namespace": "ns", "uid": "u"},
            "spec": {"template": {"metadata": {"labels": {"team": team}}}},
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_workload_of_pods_not_selected_is_none() {
        let path = "/apis/batch/v1/namespaces/ns/jobs/dev";
        let server = Script::new().on(path, Answer::json(&job("b"))).start();
        assert!(matches!(answer(&server, subject(Kind::Job, "dev", "u")).await, Ok(None)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_workload_of_another_uid_or_none_is_none() {
        let mut other = job("a");
        other["metadata"]["uid"] = "other".into();
        let path = "/apis/apps/v1/namespaces/ns/replicasets/dev";
        let server = Script::new().on(path, Answer::json(&other)).on(path, Answer::status(404, "no")).start();
        assert!(matches!(answer(&server, subject(Kind::ReplicaSet, "dev", "u")).await, Ok(None)));
        assert!(matches!(answer(&server, subject(Kind::ReplicaSet, "dev", "u")).await, Ok(None)));
    }

    #[tokio::test(start_paused = true)]
    async fn transient_failures_are_retried_and_lasting_ones_reported() {
        let job = job("a");
        let path = "/apis/batch/v1/namespaces/ns/jobs/dev";
        let server = Script::new()
            .on(path, Answer::Unreachable)
            .on(path, Answer::status(500, "etcd"))
            .on(path, Answer::json(&job))
            .always(path, Answer::status(503, "away"))
            .start();
        assert!(matches!(
            answer(&server, subject(Kind::Job, "dev", "u")).await,
            Ok(Some(Object::Workload(Kind::Job, _)))
        ));
        assert!(matches!(answer(&server, subject(Kind::Job, "dev", "u")).await, Err(LookupFailed)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_would_lead_elsewhere_is_not_asked_for() {
        let server = Script::new().start();
        for name in ["../secrets/x", "a,metadata.namespace=kube-system", "a?watch=true", ""] {
            assert!(matches!(answer(&server, subject(Kind::Job, name, "u")).await, Ok(None)), "{name}");
            assert!(matches!(answer(&server, subject(Kind::Pod, name, "u")).await, Ok(None)), "{name}");
        }
        assert_eq!(server.seen(), [] as [String; 0]);
    }

    #[tokio::test]
    async fn a_full_queue_refuses() {
        let (out, _observations) = mpsc::channel(1);
        let server = Script::new().start();
        let (lookups, _lookup) = Lookup::new(server.client(), scopes(), Selectors::default(), out, Metrics::default());
        let mut asked = 0;
        while lookups.ask(subject(Kind::Pod, "dev", "u")).is_ok() {
            asked += 1;
        }
        assert_eq!(asked, QUEUE);
    }
}
