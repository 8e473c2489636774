//! The client over real HTTP, against a small server on this machine.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use logstream_core::{line::Level, token::AgentToken};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::*;

const TOKEN: &str = "12345678-2222-4333-8444-555555555555";

#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

type Answering = Arc<dyn Fn(&Seen) -> Response + Send + Sync>;

#[derive(Clone)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Answering,
}

struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: JoinSet<()>,
}

async fn handle(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let seen = Seen { method: parts.method, path: parts.uri.to_string(), headers: parts.headers, body };
    let answer = (shared.answer)(&seen);
    shared.seen.lock().unwrap().push(seen);
    answer
}

async fn server(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::default();
    let shared = Shared { seen: Arc::clone(&seen), answer: Arc::new(answer) };
    let router = Router::new().fallback(handle).with_state(shared);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { address, seen, _tasks: tasks }
}

fn client(url: &str) -> CoderClient {
    let _ = rustls::crypto::ring::default_provider().install_default();
    CoderClient::new(&Url::parse(url).unwrap()).unwrap()
}

impl Server {
    fn client(&self, path: &str) -> CoderClient {
        client(&format!("http://{}{path}", self.address))
    }

    fn only(&self) -> Seen {
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.len(), 1);
        seen[0].clone()
    }
}

fn agent() -> AgentToken {
    AgentToken::parse(TOKEN).unwrap()
}

fn line(output: &str) -> WireLine<'_> {
    WireLine {
        created_at: "2026-07-20T12:03:05.5Z".parse::<Timestamp>().unwrap(),
        level: Level::Warn,
        output: output.into(),
    }
}

/// Checks that no text of an error contains the token.
fn without_token(error: &SendError) {
    for text in [format!("{error}"), format!("{error:?}"), format!("{error:#?}")] {
        assert!(!text.contains("12345678"), "{text}");
    }
}

#[tokio::test]
async fn the_log_source_is_posted_as_coder_expects_it() {
    let server = server(|_| (StatusCode::CREATED, "{}").into_response()).await;
    server.client("").post_log_source(&agent()).await.unwrap();
    let seen = server.only();
    assert_eq!((seen.method, seen.path.as_str()), (Method::POST, "/api/v2/workspaceagents/me/log-source"));
    assert_eq!(seen.headers["coder-session-token"], TOKEN);
    assert_eq!(seen.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(seen.headers[header::USER_AGENT], concat!("coder-logstream-kube/", env!("CARGO_PKG_VERSION")));
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    let expected = json!({
        "id": "cabdacf8-7c90-425c-9815-cae3c75d1169",
        "display_name": "Kubernetes",
        "icon": "/icon/k8s.png",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn lines_are_patched_below_the_path_of_the_url() {
    for path in ["/coder", "/coder/", "/coder/?query#fragment"] {
        let server = server(|_| {
            let headers = [("x-ratelimit-limit", "512"), ("x-ratelimit-remaining", "500")];
            (StatusCode::OK, headers, "null").into_response()
        })
        .await;
        let lines = [line("Pulling \"image\""), line("ü")];
        let answer = server.client(path).send_logs(&agent(), &lines).await.unwrap();
        let rate = answer.rate.unwrap();
        assert_eq!((rate.limit, rate.remaining), (512, 500));
        let seen = server.only();
        assert_eq!((seen.method, seen.path.as_str()), (Method::PATCH, "/coder/api/v2/workspaceagents/me/logs"));
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        let entry = |output| json!({"created_at": "2026-07-20T12:03:05.5Z", "level": "warn", "output": output});
        let expected = json!({
            "log_source_id": "cabdacf8-7c90-425c-9815-cae3c75d1169",
            "logs": [entry("Pulling \"image\""), entry("ü")],
        });
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn each_refusal_has_its_class() {
    let html = [("content-type", "text/html")];
    let json = [("content-type", "application/json")];
    let cases: Vec<(Response, Failure)> = vec![
        ((StatusCode::UNAUTHORIZED, json, "{}").into_response(), Failure::Unauthorized),
        (
            (StatusCode::PAYLOAD_TOO_LARGE, json, r#"{"message": "Logs limit exceeded"}"#).into_response(),
            Failure::TooLarge,
        ),
        ((StatusCode::PAYLOAD_TOO_LARGE, html, "<html>").into_response(), Failure::BodyTooLarge),
        (
            (StatusCode::BAD_REQUEST, json, r#"{"message": "No logs", "detail": "12345678"}"#).into_response(),
            Failure::BadRequest { message: "No logs".into() },
        ),
        (
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "60")], "{}").into_response(),
            Failure::Limited { retry_after: Some(Duration::from_mins(1)) },
        ),
        (StatusCode::TOO_MANY_REQUESTS.into_response(), Failure::Limited { retry_after: None }),
        (StatusCode::INTERNAL_SERVER_ERROR.into_response(), Failure::Server { status: 500 }),
        ((StatusCode::BAD_GATEWAY, html, "<html>").into_response(), Failure::Server { status: 502 }),
        (StatusCode::REQUEST_TIMEOUT.into_response(), Failure::Server { status: 408 }),
        (
            (StatusCode::OK, html, "<html>").into_response(),
            Failure::NotCoder { reason: "it answers 200 with a web page".into() },
        ),
        (
            (StatusCode::UNAUTHORIZED, html, "<html>").into_response(),
            Failure::NotCoder { reason: "it answers 401 with a web page".into() },
        ),
        (StatusCode::NOT_FOUND.into_response(), Failure::NotCoder { reason: "it answers 404".into() }),
    ];
    let answers = Arc::new(Mutex::new(Vec::new()));
    let queue = Arc::clone(&answers);
    let server = server(move |_| queue.lock().unwrap().pop().unwrap()).await;
    let client = server.client("");
    for (response, expected) in cases {
        answers.lock().unwrap().push(response);
        let error = client.send_logs(&agent(), &[line("text")]).await.unwrap_err();
        assert_eq!(error.failure, expected);
        without_token(&error);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    let other = server(|_| StatusCode::OK.into_response()).await;
    let target = format!("http://{}/login", other.address);
    let server =
        server(move |_| (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, target.clone())]).into_response()).await;
    let error = server.client("").post_log_source(&agent()).await.unwrap_err();
    assert!(matches!(error.failure, Failure::NotCoder { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("http://{}/login", other.address)), "{error}");
    without_token(&error);
    assert!(other.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_followed_with_method_and_body_and_learnt() {
    for (status, is_learnt) in [(308, true), (301, true), (307, false), (302, false)] {
        let server = server(move |seen: &Seen| match seen.path.strip_prefix("/coder") {
            Some(_) => StatusCode::OK.into_response(),
            None => (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, format!("/coder{}", seen.path))])
                .into_response(),
        })
        .await;
        let client = server.client("");
        client.send_logs(&agent(), &[line("text")]).await.unwrap();
        client.send_logs(&agent(), &[line("text")]).await.unwrap();
        let seen = server.seen.lock().unwrap().clone();
        let paths: Vec<_> = seen.iter().map(|seen| seen.path.starts_with("/coder/api")).collect();
        assert_eq!(paths, if is_learnt { vec![false, true, true] } else { vec![false, true, false, true] }, "{status}");
        let same = |seen: &Seen| seen.method == Method::PATCH && seen.headers["coder-session-token"] == TOKEN;
        assert!(seen.iter().all(|other| same(other) && other.body == seen[0].body), "{status}");
    }
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let server =
        server(|seen: &Seen| (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, seen.path.clone())]).into_response())
            .await;
    let error = server.client("").build_info().await.unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
    assert!(server.seen.lock().unwrap().len() <= 5);
}

#[tokio::test]
async fn a_refused_connection_is_not_in_doubt_and_names_its_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client(&format!("http://{address}/secret-path")).post_log_source(&agent()).await.unwrap_err();
    assert!(!error.failure.in_doubt(), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("refused") && !text.contains("secret-path"), "{text}");
    without_token(&error);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_not_in_doubt_and_names_its_cause() {
    let error = client("http://coder.invalid/").post_log_source(&agent()).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Network { connected: false, .. }), "{error:?}");
    assert!(error.to_string().contains("dns error"), "{error}");
    without_token(&error);
}

#[tokio::test]
async fn a_connection_cut_after_the_request_is_in_doubt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            stream.readable().await.unwrap();
            let _ = stream.try_read(&mut buffer);
        }
    });
    let error = client(&format!("http://{address}")).send_logs(&agent(), &[line("text")]).await.unwrap_err();
    assert!(error.failure.in_doubt(), "{error:?}");
    without_token(&error);
}

#[tokio::test]
async fn the_build_information_identifies_coder() {
    let server = server(|seen| match seen.path.as_str() {
        "/api/v2/buildinfo" => axum::Json(json!({"version": "v2.30.1", "external_url": "x"})).into_response(),
        "/other/api/v2/buildinfo" => "hello".into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let info = server.client("").build_info().await.unwrap();
    assert_eq!(info.version, "v2.30.1");
    let error = server.client("/other").build_info().await.unwrap_err();
    assert!(matches!(error.failure, Failure::NotCoder { .. }), "{error:?}");
    assert!(server.seen.lock().unwrap().iter().all(|seen| !seen.headers.contains_key("coder-session-token")));
}

/// A server that answers with this status, and the number of its connections.
async fn counting_server(status: StatusCode) -> (CoderClient, Arc<Mutex<HashSet<SocketAddr>>>, JoinSet<()>) {
    let peers = Arc::new(Mutex::new(HashSet::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let known = Arc::clone(&peers);
    let note = move |ConnectInfo(peer): ConnectInfo<SocketAddr>| {
        known.lock().unwrap().insert(peer);
        std::future::ready((status, r#"{"message": "an answer of Coder"}"#))
    };
    let router = Router::new().fallback(note).into_make_service_with_connect_info::<SocketAddr>();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (client(&format!("http://{address}")), peers, tasks)
}

#[tokio::test]
async fn connections_are_used_again_while_coder_answers() {
    for status in [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_REQUEST] {
        let (client, peers, _tasks) = counting_server(status).await;
        for _ in 0..20 {
            let answer = client.send_logs(&agent(), &[line("text")]).await;
            assert_eq!(answer.is_ok(), status.is_success(), "{status}");
        }
        assert_eq!(peers.lock().unwrap().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn after_an_answer_that_is_not_coders_a_new_connection_is_made() {
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::NOT_FOUND] {
        let (client, peers, _tasks) = counting_server(status).await;
        for connections in 1..4 {
            client.send_logs(&agent(), &[line("text")]).await.unwrap_err();
            assert_eq!(peers.lock().unwrap().len(), connections, "{status}");
        }
    }
}

#[test]
fn a_url_that_cannot_be_coders_is_refused() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let new = |url: &str| CoderClient::new(&Url::parse(url).unwrap()).map(drop);
    assert!(matches!(new("ftp://coder"), Err(ConfigError::Scheme)));
    assert!(matches!(new("https://user:secret@coder"), Err(ConfigError::Credentials)));
    assert!(matches!(new("http://coder.example.com"), Ok(())));
}
