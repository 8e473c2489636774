use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use tower::ServiceExt;

use super::*;
use crate::runtime::Check;

struct Answer {
    status: StatusCode,
    content_type: String,
    body: String,
}

fn sources() -> Sources {
    let metrics = Arc::new(Metrics::new("1.2.3", Timestamp::from_second(1_700_000_000).unwrap()));
    Sources { liveness: Liveness::default(), heartbeats: Vec::new(), readiness: Readiness::new(), metrics }
}

async fn ask(content: Content, sources: &Sources, path: &str) -> Answer {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(content, sources.clone()).oneshot(request).await.unwrap();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer { status, content_type, body: String::from_utf8(body.to_vec()).unwrap() }
}

async fn health(sources: &Sources, path: &str) -> (u16, String) {
    let answer = ask(Content::Health, sources, path).await;
    (answer.status.as_u16(), answer.body)
}

fn two_checks(sources: &Sources) -> (Check, Check) {
    (sources.readiness.check("pods"), sources.readiness.check("coder"))
}

#[tokio::test]
async fn ready_is_the_conjunction_of_the_checks() {
    let sources = sources();
    assert_eq!(health(&sources, "/readyz").await, (503, "failed: no checks yet\n".to_owned()));
    let (pods, coder) = two_checks(&sources);
    assert_eq!(health(&sources, "/readyz").await, (503, "failed: pods, coder\n".to_owned()));
    pods.ready();
    assert_eq!(health(&sources, "/readyz").await, (503, "failed: coder\n".to_owned()));
    coder.ready();
    assert_eq!(health(&sources, "/readyz").await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn verbose_lists_each_check_with_its_reason() {
    let sources = sources();
    let (pods, coder) = two_checks(&sources);
    pods.ready();
    coder.not_ready("no answer\nfor 40 s");
    let failed = "[+]pods ok\n[-]coder failed: no answer for 40 s\nreadyz check failed\n".to_owned();
    for query in ["verbose", "verbose=1", "a=b&verbose"] {
        assert_eq!(health(&sources, &format!("/readyz?{query}")).await, (503, failed.clone()));
    }
    coder.ready();
    let passed = "[+]pods ok\n[+]coder ok\nreadyz check passed\n".to_owned();
    assert_eq!(health(&sources, "/readyz?verbose").await, (200, passed));
}

#[tokio::test(start_paused = true)]
async fn alive_depends_on_nothing_but_the_supervisors_loop() {
    let sources = sources();
    let _checks = two_checks(&sources);
    assert_eq!(health(&sources, "/livez").await, (200, "ok\n".to_owned()));
    tokio::time::advance(Duration::from_mins(1)).await;
    let stuck = "[-]supervisor failed: the supervisor's loop has been stuck for 60 s\nlivez check failed\n".to_owned();
    assert_eq!(health(&sources, "/livez?verbose").await, (503, stuck));
    sources.liveness.beat();
    assert_eq!(health(&sources, "/livez").await, (200, "ok\n".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_stuck_task_ends_liveness_and_shows_in_the_metrics() {
    let stuck = Heartbeat::new("correlate");
    let mut metrics = Metrics::new("1.2.3", Timestamp::from_second(1_700_000_000).unwrap());
    metrics.observe(vec![stuck.clone()]);
    let sources = Sources { heartbeats: vec![stuck.clone()], metrics: Arc::new(metrics), ..sources() };
    let busy = stuck.busy();
    tokio::time::advance(Duration::from_mins(5)).await;
    sources.liveness.beat();
    let failed =
        "[+]supervisor ok\n[-]correlate failed: correlate has been stuck for 300 s\nlivez check failed\n".to_owned();
    assert_eq!(health(&sources, "/livez?verbose").await, (503, failed));
    let shown = ask(Content::Metrics, &sources, "/metrics").await.body;
    let age = "coder_logstream_oldest_unprocessed_fact_age_seconds{task=\"correlate\"} 300.0";
    assert!(shown.lines().any(|line| line == age), "{shown}");
    drop(busy);
    assert_eq!(health(&sources, "/livez").await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn metrics_are_open_metrics_with_our_prefix_and_the_process_without() {
    let mut metrics = Metrics::new("1.2.3", Timestamp::from_second(1_700_000_000).unwrap());
    let lines = Counter::<u64>::default();
    metrics.registry().register("lines_sent", "Lines that Coder has taken", lines.clone());
    lines.inc_by(3);
    let sources = Sources { metrics: Arc::new(metrics), ..sources() };

    let answer = ask(Content::Metrics, &sources, "/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let body = answer.body;
    for line in [
        "coder_logstream_build_info{version=\"1.2.3\"} 1",
        "coder_logstream_lines_sent_total 3",
        "process_start_time_seconds 1700000000.0",
        "# TYPE process_cpu_seconds counter",
        "# UNIT process_resident_memory_bytes bytes",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is missing in {body}");
    }
    let value = |name: &str| -> f64 {
        let line = body.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    assert!(value("process_resident_memory_bytes ") > 1_000_000.0, "{body}");
    assert!(value("process_open_fds ") >= 3.0, "{body}");
    assert!(value("process_cpu_seconds_total ") >= 0.0, "{body}");
    assert!(body.ends_with("# EOF\n") && body.matches("# EOF").count() == 1, "{body}");
}

#[tokio::test]
async fn each_listener_lists_its_paths_and_serves_no_others() {
    let sources = sources();
    let _checks = two_checks(&sources);
    for (content, served, not_served) in [
        (Content::Health, vec!["/livez", "/readyz"], vec!["/metrics"]),
        (Content::Metrics, vec!["/metrics"], vec!["/livez", "/readyz"]),
        (Content::Both, vec!["/livez", "/readyz", "/metrics"], vec![]),
    ] {
        let about = ask(content, &sources, "/").await;
        assert_eq!(about.status, StatusCode::OK);
        for path in served {
            assert!(about.body.contains(path));
            assert_ne!(ask(content, &sources, path).await.status, StatusCode::NOT_FOUND);
        }
        for path in not_served.into_iter().chain(["/elsewhere"]) {
            assert!(!about.body.contains(path));
            let answer = ask(content, &sources, path).await;
            assert_eq!((answer.status, answer.body), (StatusCode::NOT_FOUND, about.body.clone()));
        }
    }
}

#[tokio::test]
async fn equal_addresses_are_one_listener_and_different_ones_two() {
    let sources = sources();
    let address = |text: &str| Some(text.parse().unwrap());
    let settings = async |health, metrics| {
        let servers = bind(health, metrics, &sources).await.unwrap();
        servers.iter().map(|server| server.setting().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(settings(address("127.0.0.1:0"), address("127.0.0.1:0")).await, ["--health-addr"]);
    assert_eq!(settings(address("127.0.0.1:0"), address("127.0.0.2:0")).await, ["--health-addr", "--metrics-addr"]);
    assert_eq!(settings(None, address("127.0.0.1:0")).await, ["--metrics-addr"]);
    assert_eq!(settings(None, None).await, [""; 0]);
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_the_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(None, Some(address), &sources()).await.unwrap_err();
    let expected = format!("--metrics-addr: cannot listen on {address}: something else listens there already");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_probe_is_asked_at_each_request() {
    let sources = sources();
    let synced = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&synced);
    sources
        .readiness
        .probe("pods", move || if asked.load(Ordering::SeqCst) { Ok(()) } else { Err("not synced".into()) });
    assert_eq!(health(&sources, "/readyz").await.0, 503);
    synced.store(true, Ordering::SeqCst);
    assert_eq!(health(&sources, "/readyz").await.0, 200);
}
