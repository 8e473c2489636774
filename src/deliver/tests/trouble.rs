//! A Coder that is slow, unavailable, refuses requests, or is another server.

use std::collections::HashSet;

use logstream_core::line::Level;
use tokio::time::Instant;

use super::{
    context::{LATENCY, TestContext, agent, millis, secs},
    fake::Scripted,
};
use crate::{
    coder::Failure,
    deliver::{
        queue::outbox::{MAX_BYTES, MAX_LINES},
        rate::priority::Endpoint,
    },
};

fn cut() -> Failure {
    Failure::Network { reason: "connection reset".into(), connected: true }
}

#[tokio::test(start_paused = true)]
async fn an_agent_with_hanging_requests_delays_no_other() {
    let mut context = TestContext::new();
    context.valid(2);
    context.open(2).await;
    context.line(2, "Created pod").await;
    context.until_lines(2, 1, secs(1)).await;
    context.coder.state().script = Box::new(|request| {
        let hangs = (1_000..1_200).any(|number| request.agent == agent(number));
        hangs.then_some(Scripted::After(secs(3_600)))
    });
    for number in 1_000..1_200 {
        context.open(number).await;
        context.line(number, "Created pod").await;
    }
    context.permit(secs(1)).await;
    context.valid(1);
    context.open(1).await;
    for line in 0..5 {
        context.line(1, format!("{line}")).await;
    }
    let took = context.until_lines(1, 5, secs(1)).await;
    assert!(took <= 3 * LATENCY, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn agents_that_fail_again_and_again_leave_room_for_all_others() {
    let mut context = TestContext::new();
    // For these agents only, Coder fails once and then hangs. They are more than the allowed requests in flight.
    let mut failed = HashSet::new();
    context.coder.state().script = Box::new(move |request| {
        let bad = (1_000..1_500).any(|number| request.agent == agent(number));
        bad.then(|| {
            if failed.insert(request.agent) {
                Scripted::Failure(Failure::Timeout)
            } else {
                Scripted::After(secs(3_600))
            }
        })
    });
    for number in 1_000..1_500 {
        context.open(number).await;
        context.line(number, "Created pod").await;
    }
    context.permit(secs(60)).await;
    context.valid(1);
    context.open(1).await;
    context.line(1, "Created pod").await;
    let took = context.until_lines(1, 1, secs(1)).await;
    assert!(took <= 3 * LATENCY, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_coder_that_is_away_for_a_minute_loses_nothing_and_keeps_the_order() {
    for failure in [
        Failure::Server { status: 503 },
        Failure::NotCoder { reason: "a web page".into() },
        cut(),
        Failure::Timeout,
        Failure::Network { reason: "connection refused".into(), connected: false },
    ] {
        let mut context = TestContext::new();
        context.valid(1);
        context.open(1).await;
        context.line(1, "0").await;
        context.until_lines(1, 1, secs(1)).await;
        let answer = failure.clone();
        context.coder.state().script = Box::new(move |_| Some(Scripted::Failure(answer.clone())));
        for line in 1..=60 {
            context.line(1, format!("{line}")).await;
            context.permit(secs(1)).await;
        }
        assert_eq!(context.log(1).len(), 1);
        context.coder.state().script = Box::new(|_| None);
        context.until_lines(1, 61, secs(31)).await;
        let expected: Vec<_> = (0..=60).map(|line| line.to_string()).collect();
        let log = context.log(1);
        let texts: Vec<_> = log.iter().map(|text| text.rsplit(' ').next().unwrap()).collect();
        assert_eq!(texts, expected, "{failure}");
        context.permit(LATENCY).await;
        assert_eq!(context.acked(), 61);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_without_coder_end_at_once_in_order_and_without_a_herd() {
    const AGENTS: u32 = 300;
    let mut context = TestContext::new();
    for number in 0..AGENTS {
        context.valid(number);
        context.open(number).await;
        context.line(number, "0").await;
    }
    context.until(secs(30), "first lines", |state| state.agents.values().all(|agent| agent.log.len() == 1)).await;
    context.coder.state().script =
        Box::new(|_| Some(Scripted::Failure(Failure::Network { reason: "dns error".into(), connected: false })));
    for minute in 1..=10 {
        for number in 0..AGENTS {
            context.line(number, format!("{minute}")).await;
        }
        context.permit(secs(60)).await;
    }
    // Meanwhile Coder receives requests at a bounded rate, whatever the number of agents.
    let asked = context.coder.state().requests.len();
    context.permit(secs(60)).await;
    let asked = context.coder.state().requests.len() - asked;
    assert!(asked <= 60 * 15, "{asked} requests in a minute");
    let back = Instant::now();
    context.coder.state().script = Box::new(|_| None);
    context.until(secs(31), "one", |state| state.agents.values().any(|agent| agent.log.len() == 11)).await;
    let took = context.until(secs(31), "all", |state| state.agents.values().all(|agent| agent.log.len() == 11)).await;
    assert!(took <= secs(2), "{took:?}");
    let expected: Vec<_> = (0..=10).map(|line| line.to_string()).collect();
    for number in 0..AGENTS {
        let log = context.log(number);
        let texts: Vec<_> = log.iter().map(|text| text.rsplit(' ').next().unwrap()).collect();
        assert_eq!(texts, expected);
    }
    let state = context.coder.state();
    let since: Vec<_> = state.requests.iter().filter_map(|request| request.at.checked_duration_since(back)).collect();
    let most =
        since.iter().map(|start| since.iter().filter(|at| **at >= *start && **at < *start + millis(100)).count());
    let most = most.max().unwrap_or_default();
    assert!(most <= AGENTS as usize / 4, "{most} requests within 100 ms");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_ended_while_coder_was_away_is_reported_later() {
    let mut context = TestContext::new();
    context.valid(1);
    context.coder.state().script = Box::new(|_| Some(Scripted::Failure(Failure::Server { status: 503 })));
    context.open(1).await;
    context.send_line(1, Level::Error, false, "Failed").await;
    context.ended(1).await;
    context.permit(secs(1_800)).await;
    context.coder.state().script = Box::new(|_| None);
    context.until_lines(1, 1, secs(31)).await;
    assert_eq!(context.log(1), ["[12:00:00Z] Failed"]);
}

#[tokio::test(start_paused = true)]
async fn when_coder_is_back_every_agent_follows_the_first_at_once() {
    let mut context = TestContext::new();
    for number in 0..200 {
        context.valid(number);
        context.open(number).await;
    }
    context.coder.state().script = Box::new(|_| Some(Scripted::Failure(Failure::Server { status: 502 })));
    for number in 0..200 {
        context.line(number, "Created pod").await;
    }
    context.permit(secs(300)).await;
    context.coder.state().script = Box::new(|_| None);
    context.until(secs(30), "one", |state| state.agents.values().any(|agent| !agent.log.is_empty())).await;
    let took = context.until(secs(30), "all", |state| state.agents.values().all(|agent| !agent.log.is_empty())).await;
    assert!(took <= millis(1_500), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_full_log_is_never_sent_to_again() {
    let mut context = TestContext::new();
    context.valid(1);
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.until_lines(1, 1, secs(1)).await;
    context.coder.state().script =
        Box::new(|request| (request.agent == agent(1)).then_some(Scripted::Failure(Failure::TooLarge)));
    for line in 0..5 {
        context.line(1, format!("{line}")).await;
        context.permit(millis(1)).await;
    }
    context.permit(secs(1)).await;
    let before = context.coder.state().requests.len();
    for line in 5..10 {
        context.line(1, format!("{line}")).await;
        context.permit(secs(100)).await;
    }
    assert_eq!(context.coder.state().requests.len(), before);
    assert_eq!(context.metric("lines_dropped_total{reason=\"full\"}"), 10.0);
    assert_eq!(context.metric("agents{state=\"full\"}"), 1.0);
    assert_eq!(context.acked(), 11);
}

#[tokio::test(start_paused = true)]
async fn lines_that_coder_cannot_read_are_dropped_with_a_note() {
    let mut context = TestContext::new();
    context.valid(1);
    context.coder.state().script = Box::new(|request| {
        let bad = request.lines.iter().any(|line| line.contains("bad"));
        bad.then(|| Scripted::Failure(Failure::BadRequest { message: "Invalid".into() }))
    });
    context.open(1).await;
    context.line(1, "good").await;
    context.until_lines(1, 1, secs(1)).await;
    context.permit(LATENCY).await;
    context.line(1, "bad").await;
    context.permit(secs(1)).await;
    assert_eq!(context.metric("lines_dropped_total{reason=\"refused\"}"), 1.0);
    context.line(1, "good again").await;
    context.until_lines(1, 3, secs(1)).await;
    assert_eq!(
        context.log(1),
        ["good", "(1 line from Kubernetes is missing here: Coder, or a proxy before it, rejects it)", "good again"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_overflow_drops_repeats_first_then_routine_and_notes_it() {
    let mut context = TestContext::new();
    context.open(1).await;
    context.send_line(1, Level::Error, false, "the oldest, and an error").await;
    for line in 0..10 {
        context.send_line(1, Level::Warn, true, format!("repeat {line}")).await;
    }
    for line in 0..MAX_LINES + 20 {
        context.line(1, format!("routine {line}")).await;
    }
    context.permit(secs(1)).await;
    // One error and MAX_LINES + 20 routine lines that are not repeats: 31 had to be dropped.
    assert_eq!(context.metric("lines_dropped_total{reason=\"overflow\"}"), 31.0);
    context.valid(1);
    context.until_lines(1, MAX_LINES + 1, secs(2)).await;
    let log = context.log(1);
    assert_eq!(log[0], "the oldest, and an error");
    assert_eq!(log[1], "(31 lines from Kubernetes are missing here: more were waiting than fit)");
    assert_eq!(log[2], "routine 21");
    assert_eq!(log.last().unwrap(), &format!("routine {}", MAX_LINES + 19));
    assert_eq!(log.len(), MAX_LINES + 1);
}

#[tokio::test(start_paused = true)]
async fn an_outbox_is_bounded_in_bytes_too() {
    let mut context = TestContext::new();
    context.open(1).await;
    for _ in 0..200 {
        context.line(1, "x".repeat(1_000)).await;
    }
    context.permit(millis(10)).await;
    let kept = context.metric("lines_waiting");
    assert!(kept * 1_000.0 <= MAX_BYTES as f64 && kept > 120.0, "{kept}");
}

#[tokio::test(start_paused = true)]
async fn the_budget_leaves_the_log_to_the_workspace_and_notes_it() {
    let mut context = TestContext::new();
    context.valid(1);
    context.open(1).await;
    for line in 0..2_000 {
        context.line(1, format!("{line:>500}")).await;
        if line % 32 == 0 {
            context.permit(millis(100)).await;
        }
    }
    context.permit(secs(1)).await;
    let log = context.log(1);
    let limits = log.iter().filter(|line| line.contains("only its warnings")).count();
    assert_eq!(limits, 1);
    let used: usize = log.iter().map(String::len).sum();
    assert!((226_000..=227_328).contains(&used), "{used}");
    for line in 0..200 {
        context.send_line(1, Level::Warn, false, format!("{line:>500}")).await;
        if line % 32 == 0 {
            context.permit(millis(100)).await;
        }
    }
    context.permit(secs(1)).await;
    let log = context.log(1);
    assert_eq!(log.iter().filter(|line| line.contains("no more of it is shown except errors")).count(), 1);
    context.send_line(1, Level::Error, false, "out of memory").await;
    context.permit(secs(1)).await;
    assert_eq!(context.log(1).last().unwrap(), "out of memory");
    for line in 0..200 {
        context.send_line(1, Level::Error, false, format!("{line:>500}")).await;
        if line % 32 == 0 {
            context.permit(millis(100)).await;
        }
    }
    context.permit(secs(1)).await;
    let log = context.log(1);
    assert_eq!(log.iter().filter(|line| line.contains("not even its errors")).count(), 1);
    let used: usize = log.iter().map(String::len).sum();
    assert!((250_000..=262_144).contains(&used), "{used}");
    let delivered = context.metric("lines_delivered_total");
    assert_eq!(context.metric("lines_dropped_total{reason=\"budget\"}"), 2_401.0 - delivered);
    assert_eq!(context.acked(), 2_401);
}

#[tokio::test(start_paused = true)]
async fn an_error_after_days_of_a_chronic_warning_is_reported() {
    let mut context = TestContext::new();
    context.valid(1);
    context.open(1).await;
    for time in 0..25_710 {
        let text = format!("Readiness probe failed: connection refused (x{time})");
        context.send_line(1, Level::Warn, time > 0, text).await;
        context.permit(secs(10)).await;
    }
    context.send_line(1, Level::Error, false, "Container dev was killed: out of memory").await;
    context.permit(secs(1)).await;
    let log = context.log(1);
    assert!(log.last().unwrap().ends_with("out of memory"), "{:?}", log.last());
    assert_eq!(log.iter().filter(|line| line.contains("repetitions are shown less")).count(), 1);
    // The reader still sees that it continues.
    let used: usize = log.iter().map(String::len).sum();
    assert!(log.len() > 300 && used < 80 * 1024, "{} lines, {used} bytes", log.len());
}

#[tokio::test(start_paused = true)]
async fn the_budget_outlives_the_process_and_the_agents_rest() {
    let mut context = TestContext::new();
    for start in 0..6 {
        context.valid(1);
        context.open(1).await;
        for line in 0..1_000 {
            context.line(1, format!("{start} {line:>500}")).await;
            if line % 32 == 0 {
                context.permit(millis(100)).await;
            }
        }
        // The agent is dropped after that, as in a new process.
        context.ended(1).await;
        context.permit(secs(300)).await;
    }
    let used: u64 = context.log(1).iter().map(|line| line.len() as u64).sum();
    assert!((200_000..=262_144).contains(&used), "{used}");
    assert_eq!(context.acks.spent.lock().unwrap()[&agent(1)], used);
}

#[tokio::test(start_paused = true)]
async fn a_coder_that_stores_and_then_loses_the_answer_never_fills_the_log() {
    let mut context = TestContext::new();
    context.valid(1);
    context.coder.state().script =
        Box::new(|request| (request.endpoint == Endpoint::Logs).then(|| Scripted::StoredThen(cut())));
    context.open(1).await;
    for line in 0..64 {
        context.line(1, format!("{line:>900}")).await;
    }
    context.permit(secs(20_000)).await;
    let used: usize = context.log(1).iter().map(String::len).sum();
    assert!(used <= 512 * 1024, "{used}");
}

#[tokio::test(start_paused = true)]
async fn missing_lines_are_noted_although_no_line_follows() {
    let settings = crate::deliver::Settings { max_lines: 1, ..Default::default() };
    let mut context = TestContext::with(super::fake::FakeCoder::new(LATENCY), settings);
    context.coder.state().script = Box::new(|_| Some(Scripted::Failure(Failure::Server { status: 503 })));
    for number in 1..=2 {
        context.valid(number);
        context.open(number).await;
        context.line(number, "Created pod").await;
    }
    context.permit(secs(1)).await;
    // Both hold one line, so one of them holds none now.
    assert_eq!(context.metric("lines_dropped_total{reason=\"overflow\"}"), 1.0);
    context.coder.state().script = Box::new(|_| None);
    for number in 1..=2 {
        context.until_lines(number, 1, secs(60)).await;
    }
    let mut logs = [context.log(1), context.log(2)].concat();
    logs.sort();
    assert_eq!(logs, ["(1 line from Kubernetes is missing here: more were waiting than fit)", "Created pod"]);
}

#[tokio::test(start_paused = true)]
async fn too_many_lines_over_all_are_taken_from_the_agent_that_holds_most() {
    let settings = crate::deliver::Settings { max_lines: 300, ..Default::default() };
    let mut context = TestContext::with(super::fake::FakeCoder::new(LATENCY), settings);
    context.open(1).await;
    for line in 0..200 {
        context.line(1, format!("{line}")).await;
    }
    for number in 2..120 {
        context.open(number).await;
        context.line(number, "Created pod").await;
    }
    context.permit(millis(100)).await;
    assert!(context.metric("lines_waiting") <= 300.0);
    for number in 1..120 {
        context.valid(number);
    }
    context.until(secs(30), "every agent", |state| state.agents.values().all(|agent| !agent.log.is_empty())).await;
    assert_eq!(context.log(1)[0], "(100 lines from Kubernetes are missing here: more were waiting than fit)");
    assert_eq!(context.log(2), ["Created pod"]);
}
