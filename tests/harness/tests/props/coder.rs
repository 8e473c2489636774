//! The stand-in for Coder keeps Coder's rules.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use logstream_testing::coder::{Ansi, Endpoint, Fault, KUBERNETES_LOG_SOURCE, Level, RateLimit, Valid, Violation};
use logstream_testing::{CoderOptions, CoderStandIn};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(5);
const SOURCE: &str = "/api/v2/workspaceagents/me/log-source";
const LOGS: &str = "/api/v2/workspaceagents/me/logs";

/// A client of a stand-in, as one agent.
struct Caller<'a> {
    coder: &'a CoderStandIn,
    token: &'a str,
    http: Client,
}

fn caller<'a>(coder: &'a CoderStandIn, token: &'a str) -> Caller<'a> {
    Caller { coder, token, http: Client::builder().timeout(SOON).build().unwrap() }
}

impl Caller<'_> {
    async fn try_source(&self) -> reqwest::Result<Response> {
        let body = json!({ "id": KUBERNETES_LOG_SOURCE, "display_name": "Kubernetes", "icon": "/icon/k8s.png" });
        let request = self.http.post(format!("{}{SOURCE}", self.coder.url())).header("Coder-Session-Token", self.token);
        request.json(&body).send().await
    }

    async fn source(&self) -> StatusCode {
        self.try_source().await.unwrap().status()
    }

    async fn try_logs(&self, logs: Value) -> reqwest::Result<Response> {
        let body = json!({ "log_source_id": KUBERNETES_LOG_SOURCE, "logs": logs });
        let request = self.http.patch(format!("{}{LOGS}", self.coder.url())).header("Coder-Session-Token", self.token);
        request.json(&body).send().await
    }

    async fn logs(&self, logs: Value) -> StatusCode {
        self.try_logs(logs).await.unwrap().status()
    }

    async fn say(&self, output: &str) -> StatusCode {
        self.logs(json!([line(output)])).await
    }
}

fn line(output: &str) -> Value {
    json!({ "created_at": "2026-11-23T05:00:00Z", "level": "info", "output": output })
}

#[tokio::test]
async fn a_journal_tells_when_each_request_came_and_was_answered() {
    let latency = Duration::from_millis(20);
    let coder = with_agent(CoderOptions::new().latency(latency).journal());
    let caller = caller(&coder, "a");
    assert_eq!(caller.say("without a source").await, StatusCode::OK);
    assert_eq!(caller.source().await, StatusCode::CREATED);
    let journal = coder.journal();
    let seen: Vec<_> = journal.iter().map(|seen| (seen.endpoint, seen.status, seen.token.as_str())).collect();
    assert_eq!(seen, [(Endpoint::Logs, 200, "a"), (Endpoint::LogSource, 201, "a")]);
    assert_eq!(journal[0].batch, Some(coder.lines("a")[0].batch));
    assert_eq!(journal[1].batch, None);
    assert!(journal.iter().all(|seen| seen.answered - seen.received >= latency), "{journal:?}");
    assert!(with_agent(CoderOptions::new()).journal().is_empty(), "only where it is asked for");
}

fn with_agent(options: CoderOptions) -> CoderStandIn {
    let coder = CoderStandIn::start(options).unwrap();
    coder.add_agent("a", Valid::Now);
    coder
}

#[tokio::test]
async fn lines_are_kept_in_order_of_arrival() {
    let coder = with_agent(CoderOptions::new());
    let agent = caller(&coder, "a");
    assert_eq!(agent.source().await, StatusCode::CREATED);
    assert_eq!(agent.logs(json!([line("\u{1b}[32mone\u{1b}[0m"), line("two")])).await, StatusCode::OK);
    assert_eq!(agent.say("three").await, StatusCode::OK);

    let lines = coder.wait_for_lines("a", SOON, |lines| lines.len() == 3).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.batch).collect::<Vec<_>>(), [0, 0, 1]);
    assert!(lines.iter().all(|line| line.level == Level::Info && line.source_known));
    assert!(coder.startup_log("a", Ansi::Strip).contains(" + one\n"));
    assert_eq!(coder.violations(), []);
    assert_eq!(coder.request_count(Endpoint::Logs, 200), 2);
}

#[tokio::test]
async fn a_wait_in_vain_shows_what_came() {
    let coder = with_agent(CoderOptions::new());
    let agent = caller(&coder, "a");
    agent.source().await;
    agent.say("only this").await;
    let timeout = coder.wait_for_lines("a", Duration::from_millis(50), |lines| lines.len() > 1).await.unwrap_err();
    assert!(timeout.to_string().contains("only this"), "{timeout}");
}

#[tokio::test]
async fn a_token_works_only_for_its_build() {
    let coder = CoderStandIn::start(CoderOptions::new()).unwrap();
    coder.add_agent("a", Valid::OnCall);
    let agent = caller(&coder, "a");
    let refused = agent.try_source().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let body: Value = refused.json().await.unwrap();
    assert!(body["detail"].as_str().unwrap().contains("until the workspace provision job has been completed"));
    assert_eq!(caller(&coder, "stranger").source().await, StatusCode::UNAUTHORIZED);

    coder.valid("a");
    assert_eq!(agent.source().await, StatusCode::CREATED);
    coder.revoke("a");
    assert_eq!(agent.say("late").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_claimed_token_is_another_agent_without_a_source() {
    let coder = with_agent(CoderOptions::new());
    let agent = caller(&coder, "a");
    agent.source().await;
    agent.say("for prebuilds").await;
    coder.claim("a", Duration::ZERO);
    assert_eq!(agent.say("for its new owner").await, StatusCode::OK);
    assert!(matches!(coder.violations()[..], [Violation::UnknownSource { .. }]));
    assert_eq!(agent.source().await, StatusCode::CREATED);
    assert_eq!(agent.say("now with a source").await, StatusCode::OK);
    assert_eq!(coder.violations().len(), 1);
    assert_eq!(coder.lines("a").iter().map(|line| line.generation).collect::<Vec<_>>(), [0, 1, 1]);
    assert!(!coder.startup_log("a", Ansi::Strip).contains("prebuilds"));
}

#[tokio::test]
async fn what_is_malformed_is_refused() {
    let coder = with_agent(CoderOptions::new());
    let agent = caller(&coder, "a");
    agent.source().await;
    assert_eq!(agent.logs(json!([])).await, StatusCode::BAD_REQUEST);
    let mut loud = line("x");
    loud["level"] = "loud".into();
    assert_eq!(agent.logs(json!([loud])).await, StatusCode::BAD_REQUEST);
    assert_eq!(agent.logs(json!([{ "output": "no time" }])).await, StatusCode::BAD_REQUEST);
    assert_eq!(agent.say("a\0b").await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(coder.line_count(), 0);
}

#[tokio::test]
async fn a_long_line_is_cut_without_a_word() {
    let coder = with_agent(CoderOptions::new());
    let agent = caller(&coder, "a");
    agent.source().await;
    assert_eq!(agent.say(&"é".repeat(1_025)).await, StatusCode::OK);
    assert_eq!(coder.lines("a")[0].output.chars().count(), 1_024);
    assert!(matches!(coder.violations()[..], [Violation::LineCut { characters: 1_025, .. }]));
}

#[tokio::test]
async fn the_batch_that_crosses_the_budget_ends_the_log_for_everybody() {
    let coder = with_agent(CoderOptions::new().budget(10));
    let agent = caller(&coder, "a");
    agent.source().await;
    assert!(coder.agent_writes("a", 6));
    assert_eq!(agent.say("four").await, StatusCode::OK);
    assert_eq!(agent.say("x").await, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(coder.overflowed("a"));
    assert_eq!(agent.say("").await, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(!coder.agent_writes("a", 1), "the agent's own log is refused too");
    assert!(matches!(coder.violations()[..], [Violation::Overflow { .. }]));
}

#[tokio::test]
async fn every_answer_tells_the_limit_and_one_over_it_says_when_to_return() {
    let coder = with_agent(CoderOptions::new().rate_limit(RateLimit { requests: 2, window: Duration::from_hours(1) }));
    let agent = caller(&coder, "a");
    let first = agent.try_source().await.unwrap();
    assert_eq!(first.headers()["x-ratelimit-limit"], "2");
    assert_eq!(first.headers()["x-ratelimit-remaining"], "1");
    assert!(first.headers().get("retry-after").is_none());
    assert_eq!(caller(&coder, "stranger").source().await, StatusCode::UNAUTHORIZED);
    let refused = agent.try_source().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "the stranger has the same address");
    assert_eq!(refused.headers()["retry-after"], "3600");
    assert_eq!(refused.headers()["x-ratelimit-remaining"], "0");
    assert!(refused.headers()["x-ratelimit-reset"].to_str().unwrap().parse::<u64>().is_ok());
    assert_eq!(agent.say("another endpoint").await, StatusCode::OK);
    coder.rate_limit(None);
    assert!(agent.try_source().await.unwrap().headers().get("x-ratelimit-limit").is_none());
}

#[tokio::test]
async fn faults_come_when_asked_for() {
    let coder = with_agent(CoderOptions::new());
    let agent = caller(&coder, "a");
    agent.source().await;
    coder.fault(Fault::Status(500).times(1));
    coder.fault(Fault::Html(502).times(1));
    assert_eq!(agent.say("x").await, StatusCode::INTERNAL_SERVER_ERROR);
    let page = agent.try_logs(json!([line("x")])).await.unwrap();
    assert_eq!(page.status(), StatusCode::BAD_GATEWAY);
    assert!(page.text().await.unwrap().contains("<html>"));

    coder.fault(Fault::CutBefore.times(1).at(Endpoint::Logs));
    assert!(agent.try_logs(json!([line("lost")])).await.is_err());
    coder.fault(Fault::CutAfter.times(1));
    assert!(agent.try_logs(json!([line("kept")])).await.is_err());
    assert_eq!(coder.lines("a").len(), 1);

    coder.fault(Fault::Stall.to("a"));
    let stalled = agent.try_logs(json!([line("held")]));
    let cut = async {
        assert!(coder.wait_until(SOON, |coder| coder.request_count(Endpoint::Logs, 0) == 3).await);
        coder.cut();
    };
    assert!(tokio::join!(stalled, cut).0.is_err());
    coder.clear_faults();
    assert_eq!(agent.say("well again").await, StatusCode::OK);
}

#[tokio::test]
async fn it_can_go_away_and_come_back_on_its_port() {
    let coder = with_agent(CoderOptions::new());
    let agent = caller(&coder, "a");
    for _ in 0..3 {
        assert_eq!(agent.source().await, StatusCode::CREATED);
        coder.refuse(true).unwrap();
        assert!(agent.try_source().await.is_err());
        let refused = TcpStream::connect(coder.address()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        coder.refuse(false).unwrap();
    }
    assert_eq!(agent.source().await, StatusCode::CREATED);
}

#[tokio::test]
async fn it_speaks_tls() {
    let coder = with_agent(CoderOptions::new().tls());
    let ca = reqwest::Certificate::from_pem(coder.ca_pem().unwrap().as_bytes()).unwrap();
    let http = Client::builder().tls_certs_only([ca]).build().unwrap();
    let answer = http.get(format!("{}/api/v2/buildinfo", coder.url())).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.json::<Value>().await.unwrap()["version"].is_string());
}

#[tokio::test]
async fn latency_shows_how_many_requests_are_in_flight() {
    let coder = with_agent(CoderOptions::new().latency(Duration::from_millis(100)));
    coder.add_agent("b", Valid::Now);
    let (one, two) = (caller(&coder, "a"), caller(&coder, "b"));
    tokio::join!(one.source(), two.source());
    assert_eq!(coder.max_in_flight(), 2);
}
