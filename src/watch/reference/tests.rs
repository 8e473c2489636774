use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use logstream_core::{
    extract::{Holder, Reference},
    resource::Kind,
    token::AgentToken,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    reader::{PATIENCE_FOR_KEYS, PATIENCE_FOR_OBJECTS, PATIENCE_FOR_PERMISSION, PATIENCE_FOR_WHOLE_OBJECTS},
    refusals::{REFUSALS_LOGGED_EVERY, Refused},
    *,
};
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
async fn the_first_reference_with_the_key_counts() {
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
async fn a_value_that_is_no_token_is_counted_and_not_read_again() {
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
