//! A proxy, or Coder itself, refuses single lines because of their text or size.

use std::time::Duration;

use logstream_core::line::Level;

use super::{
    context::{LATENCY, TestContext, agent, millis, secs},
    fake::Scripted,
};
use crate::{coder::Failure, deliver::rate::priority::Endpoint};

const MISSING: &str = "(1 line from Kubernetes is missing here: Coder, or a proxy before it, rejects it)";

fn refusals() -> Vec<Failure> {
    vec![
        Failure::NotCoder { reason: "it answers 403".into() },
        Failure::NotCoder { reason: "it answers 200 with a web page".into() },
        Failure::NotCoder { reason: "it redirects (302)".into() },
        Failure::BadRequest { message: "Invalid".into() },
        Failure::BodyTooLarge,
        Failure::Server { status: 500 },
        Failure::Server { status: 501 },
        Failure::Server { status: 503 },
        Failure::Network { reason: "connection reset".into(), connected: true },
    ]
}

/// Makes a proxy answer each request with lines that contain `bad` with this failure.
fn refuse(context: &TestContext, failure: Failure) {
    context.coder.state().script = Box::new(move |request| {
        let bad = request.lines.iter().any(|line| line.contains("bad"));
        bad.then(|| Scripted::Failure(failure.clone()))
    });
}

/// The texts of a log without the times of late lines.
fn texts(context: &TestContext, number: u32) -> Vec<String> {
    let log = context.log(number);
    log.iter().map(|text| text.split_once("Z] ").map_or(text.as_str(), |(_, text)| text).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn one_refused_line_is_left_out_and_all_others_arrive() {
    for failure in refusals() {
        let mut context = TestContext::new();
        context.valid(1);
        refuse(&context, failure.clone());
        context.open(1).await;
        let mut expected = Vec::new();
        for number in 0..100 {
            let bad = number == 20 || number == 63;
            let text = format!("{} {number}", if bad { "bad" } else { "good" });
            context.line(1, text.clone()).await;
            expected.push(if bad { MISSING.to_owned() } else { text });
        }
        let took = context.until_lines(1, 100, secs(120)).await;
        assert_eq!(texts(&context, 1), expected, "{failure} after {took:?}");
        context.permit(LATENCY).await;
        assert_eq!(context.metric("lines_dropped_total{reason=\"refused\"}"), 2.0, "{failure}");
        assert_eq!(context.acked(), 100, "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_line_of_the_only_agent_blocks_no_later_line() {
    for failure in refusals() {
        let mut context = TestContext::new();
        context.valid(1);
        refuse(&context, failure.clone());
        context.open(1).await;
        context.line(1, "bad").await;
        context.permit(secs(1)).await;
        context.line(1, "good").await;
        let took = context.until_lines(1, 2, secs(60)).await;
        assert_eq!(texts(&context, 1), [MISSING, "good"], "{failure} after {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_everything_drops_no_line_whatever_it_answers() {
    for failure in refusals() {
        let mut context = TestContext::new();
        context.valid(1);
        context.open(1).await;
        context.line(1, "first").await;
        context.until_lines(1, 1, secs(1)).await;
        if matches!(failure, Failure::BadRequest { .. }) {
            continue;
        }
        let outage = failure.clone();
        context.coder.state().script = Box::new(move |_| Some(Scripted::Failure(outage.clone())));
        for line in 0..10 {
            context.line(1, format!("{line}")).await;
            context.permit(secs(30)).await;
        }
        context.coder.state().script = Box::new(|_| None);
        context.until_lines(1, 11, secs(31)).await;
        context.permit(LATENCY).await;
        assert_eq!(context.metric("lines_dropped_total{reason=\"refused\"}"), 0.0, "{failure}");
        assert_eq!(context.metric("lines_delivered_total"), 11.0, "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_refuses_all_lines_but_not_the_source_drops_none() {
    let mut context = TestContext::new();
    context.valid(1);
    let refused = Failure::NotCoder { reason: "it answers 405".into() };
    context.coder.state().script =
        Box::new(move |request| (request.endpoint == Endpoint::Logs).then(|| Scripted::Failure(refused.clone())));
    context.open(1).await;
    for line in 0..10 {
        context.line(1, format!("{line}")).await;
        context.permit(secs(60)).await;
    }
    let requests = context.coder.state().requests.len();
    assert!(requests < 400, "{requests} in ten minutes");
    assert_eq!(context.metric("lines_dropped_total{reason=\"refused\"}"), 0.0);
    context.coder.state().script = Box::new(|_| None);
    context.until_lines(1, 10, secs(61)).await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_with_a_small_body_limit_closes_no_agent() {
    let mut context = TestContext::new();
    context.valid(1);
    context.coder.state().script = Box::new(|request| {
        let bytes: usize = request.lines.iter().map(String::len).sum();
        (bytes > 1_000).then_some(Scripted::Failure(Failure::BodyTooLarge))
    });
    context.open(1).await;
    for line in 0..100 {
        context.line(1, format!("{line:>90}")).await;
    }
    let took = context.until_lines(1, 100, secs(10)).await;
    assert_eq!(context.metric("lines_dropped_total{reason=\"refused\"}"), 0.0, "{took:?}");
    assert_eq!(context.metric("agents{state=\"full\"}"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_agent_delays_no_other() {
    let mut context = TestContext::new();
    for number in 1..=2 {
        context.valid(number);
        context.open(number).await;
        context.line(number, "first").await;
        context.until_lines(number, 1, secs(1)).await;
    }
    refuse(&context, Failure::NotCoder { reason: "it answers 403".into() });
    for line in 0..20 {
        context.send_line(1, Level::Warn, false, format!("bad {line}")).await;
        context.line(2, format!("good {line}")).await;
        let took = context.until_lines(2, line + 2, secs(1)).await;
        assert!(took <= 2 * LATENCY, "{took:?}");
        context.permit(millis(500)).await;
    }
    let log = |number| context.coder.state().agents[&agent(number)].log.len();
    context.until(Duration::from_mins(5), "all arrived", |state| state.agents[&agent(1)].log.len() == 21).await;
    assert_eq!(log(2), 21);
}
