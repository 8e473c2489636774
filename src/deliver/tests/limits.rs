//! Coder's rate limit.

use std::collections::HashMap;

use logstream_core::line::Level;

use super::{
    context::{LATENCY, TestContext, agent, millis, secs},
    fake::{FakeCoder, Scripted},
    limiter::Limiter,
};
use crate::{
    coder::Failure,
    deliver::{Settings, rate::priority::Endpoint},
};

fn limited(limit: u32, into_window: u64) -> TestContext {
    let context = TestContext::new();
    {
        let mut state = context.coder.state();
        state.log_source_limit = Some(Limiter::new(limit, secs(into_window)));
        state.logs_limit = Some(Limiter::new(limit, secs(into_window)));
    }
    context
}

fn refused(context: &TestContext) -> u32 {
    let state = context.coder.state();
    [&state.log_source_limit, &state.logs_limit].into_iter().flatten().map(|limiter| limiter.refused).sum()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_agents_under_the_default_limit_lose_nothing_and_use_it() {
    for into_window in [0, 25, 55] {
        let mut context = limited(512, into_window);
        for number in 0..1_000 {
            context.valid(number);
            context.open(number).await;
            for line in 0..6 {
                context.line(number, format!("{line}")).await;
            }
        }
        // The limit allows a window's worth at once, and its rate from the end of that window on.
        let left = 488.0 / 512.0 * 60.0;
        let allowed = (60 - into_window) as f64 + left;
        let took = context
            .until(secs(600), "every agent", |state| state.agents.values().all(|agent| agent.log.len() >= 6))
            .await
            .as_secs_f64();
        assert!(took * 0.95 <= allowed, "{into_window}: {took} s, where {allowed} s are allowed");
        assert_eq!(refused(&context), 0, "{into_window}");
        let expected: Vec<_> = (0..6).map(|line| line.to_string()).collect();
        for number in 0..1_000 {
            let log = context.log(number);
            let texts: Vec<_> = log.iter().map(|text| text.rsplit(' ').next().unwrap()).collect();
            assert_eq!(texts, expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn first_lines_go_before_any_repeat() {
    let mut context = limited(512, 0);
    for number in 0..300 {
        context.valid(number);
        context.open(number).await;
        context.line(number, "first").await;
    }
    context.until(secs(5), "300 first lines", |state| state.agents.values().all(|agent| !agent.log.is_empty())).await;
    // These were there before and have a repeat each; 700 more are new.
    for number in 0..300 {
        context.send_line(number, Level::Debug, true, "repeat").await;
    }
    context.permit(secs(30)).await;
    for number in 0..300 {
        context.send_line(number, Level::Debug, true, "another repeat").await;
    }
    for number in 300..1_000 {
        context.valid(number);
        context.open(number).await;
        context.line(number, "first").await;
    }
    context
        .until(secs(600), "all", |state| {
            state.agents.len() == 1_000 && state.agents.values().all(|agent| !agent.log.is_empty())
        })
        .await;
    context.until(secs(600), "repeats", |state| state.agents[&agent(0)].log.len() >= 3).await;
    let state = context.coder.state();
    let mut order: Vec<_> = state.agents.values().flat_map(|agent| agent.log.iter()).collect();
    order.sort_by_key(|(at, _, _)| *at);
    let last_first = order.iter().filter(|(_, _, text)| text.ends_with("first")).map(|(at, _, _)| *at).max().unwrap();
    // 300 sources, 300 lines and 212 repeats have been sent. From then on, first lines wait for the limit of the
    // sources, and repeats use what first lines leave of the limit of lines.
    let repeats_meanwhile =
        order.iter().filter(|(at, _, text)| text.ends_with("another repeat") && *at < last_first).count();
    let firsts = order.iter().filter(|(_, _, text)| text.ends_with("first")).count();
    assert_eq!(firsts, 1_000);
    assert!(repeats_meanwhile <= 300);
    drop(state);
    assert_eq!(refused(&context), 0);
}

#[tokio::test(start_paused = true)]
async fn with_one_pace_to_share_first_lines_go_before_repeats_that_came_earlier() {
    let mut context = limited(512, 0);
    context.coder.state().log_source_limit = None;
    for number in 0..400 {
        context.valid(number);
        context.open(number).await;
        context.line(number, "first").await;
    }
    context.until(secs(5), "400", |state| state.agents.values().all(|agent| !agent.log.is_empty())).await;
    // 112 requests are left in this minute.
    for number in 0..400 {
        context.send_line(number, Level::Debug, true, "repeat").await;
    }
    context.permit(secs(1)).await;
    for number in 400..700 {
        context.valid(number);
        context.open(number).await;
        context.line(number, "first").await;
    }
    context.permit(secs(600)).await;
    let state = context.coder.state();
    let times = |wanted: &str| {
        let lines = state.agents.values().flat_map(|agent| agent.log.iter());
        let mut times: Vec<_> = lines.filter(|(_, _, text)| text.ends_with(wanted)).map(|(at, _, _)| *at).collect();
        times.sort();
        times
    };
    let (firsts, repeats) = (times("first"), times("repeat"));
    assert_eq!((firsts.len(), repeats.len()), (700, 400));
    let early = repeats.iter().filter(|at| **at < firsts[699]).count();
    assert!(early <= 112, "{early} repeats went before the last first line");
    assert_eq!(state.logs_limit.as_ref().unwrap().refused, 0);
}

#[tokio::test(start_paused = true)]
async fn further_lines_go_before_repeats_that_came_earlier() {
    let mut context = TestContext::new();
    context.coder.state().logs_limit = Some(Limiter::new(100, secs(0)));
    for number in 0..60 {
        context.valid(number);
        context.open(number).await;
        context.line(number, "first").await;
    }
    context.until(secs(5), "60", |state| state.agents.values().all(|agent| !agent.log.is_empty())).await;
    for number in 0..60 {
        context.send_line(number, Level::Debug, true, "repeat").await;
    }
    context.permit(secs(5)).await;
    let complete = |context: &TestContext| (0..60).filter(|number| context.log(*number).len() == 2).collect::<Vec<_>>();
    let before = context.coder.state().requests.len();
    let served = complete(&context);
    assert!((30..=40).contains(&served.len()), "{served:?}");
    for number in &served[..10] {
        context.line(*number, "further").await;
    }
    context.permit(secs(300)).await;
    let state = context.coder.state();
    let next: Vec<_> = state.requests[before..].iter().map(|request| request.lines[0].as_str()).collect();
    assert!(next[..10].iter().all(|text| text.ends_with("further")), "{next:?}");
    assert!(next[10..].iter().all(|text| text.ends_with("repeat")), "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn a_429_stops_all_until_retry_after_and_its_batch_goes_first() {
    let mut context = TestContext::new();
    for number in 0..3 {
        context.valid(number);
        context.open(number).await;
        context.line(number, "0").await;
    }
    context.until(secs(1), "all", |state| state.agents.values().all(|agent| agent.log.len() == 1)).await;
    context.permit(LATENCY).await;
    context.coder.state().script = Box::new(|request| {
        let retry_after = Some(secs(30));
        (request.endpoint == Endpoint::Logs).then_some(Scripted::Failure(Failure::Limited { retry_after }))
    });
    context.line(0, "1").await;
    context.permit(LATENCY * 2).await;
    let before = context.coder.state().requests.len();
    context.coder.state().script = Box::new(|_| None);
    for number in 1..3 {
        context.line(number, "1").await;
    }
    context.line(0, "2").await;
    context.permit(secs(29)).await;
    assert_eq!(context.coder.state().requests.len(), before, "nobody asks");
    context.until(secs(2), "all", |state| state.agents.values().all(|agent| agent.log.len() >= 2)).await;
    let next = context.coder.state().requests[before].clone();
    assert_eq!((next.agent, next.lines.len()), (agent(0), 2));
    let log = context.log(0);
    assert!(log[1].ends_with('1') && log[2] == "2", "{log:?}");
    assert_eq!(context.metric("coder_requests_total{endpoint=\"logs\",outcome=\"limited\"}"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_429_takes_no_turn() {
    let settings = Settings { max_in_flight: 1, ..Settings::default() };
    let mut context = TestContext::with(FakeCoder::new(LATENCY), settings);
    for number in 0..3 {
        context.valid(number);
        context.open(number).await;
        context.line(number, "first").await;
    }
    context.until(secs(1), "all", |state| state.agents.values().all(|agent| agent.log.len() == 1)).await;
    context.permit(LATENCY).await;
    context.coder.state().script = Box::new(|_| {
        let retry_after = Some(secs(5));
        Some(Scripted::Failure(Failure::Limited { retry_after }))
    });
    for number in 0..3 {
        context.line(number, "second").await;
    }
    context.permit(LATENCY * 2).await;
    context.coder.state().script = Box::new(|_| None);
    context.until(secs(6), "all", |state| state.agents.values().all(|agent| agent.log.len() == 2)).await;
    let times: Vec<_> = (0..3).map(|number| context.log_with_times(number)[1].0).collect();
    assert!(times.is_sorted(), "{times:?}");
}

/// Under a limit with hundreds of further lines waiting, one request of agent 1 for this endpoint fails.
async fn first_line_after_one_failure(endpoint: Endpoint, failure: Failure) {
    let mut context = limited(120, 0);
    for number in 100..160 {
        context.valid(number);
        context.open(number).await;
        context.line(number, "first").await;
    }
    context.until(secs(120), "60 first lines", |state| state.agents.values().all(|agent| !agent.log.is_empty())).await;
    let mut failed = false;
    context.coder.state().script = Box::new(move |request| {
        let fails = request.agent == agent(1) && request.endpoint == endpoint && !failed;
        failed |= fails;
        fails.then(|| Scripted::Failure(failure.clone()))
    });
    context.valid(1);
    context.open(1).await;
    context.line(1, "first").await;
    // The others always have more to send than the limit allows. The rest of this window is used up at once.
    let start = tokio::time::Instant::now();
    while context.log(1).is_empty() {
        assert!(start.elapsed() < secs(75), "{endpoint:?}: not with the next window");
        for number in 100..160 {
            context.line(number, "further").await;
        }
        context.permit(millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_line_stays_before_further_lines_after_a_failure() {
    for endpoint in [Endpoint::Logs, Endpoint::LogSource] {
        for status in [502, 503, 500] {
            first_line_after_one_failure(endpoint, Failure::Server { status }).await;
        }
        first_line_after_one_failure(endpoint, Failure::NotCoder { reason: "it answers 404".into() }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_keeps_its_turn_after_one_failure() {
    let mut context = limited(60, 0);
    context.coder.state().log_source_limit = None;
    for number in 0..200 {
        context.valid(number);
        context.open(number).await;
    }
    let mut failed = false;
    context.coder.state().script = Box::new(move |request| {
        let fails = request.agent == agent(0) && request.endpoint == Endpoint::Logs && !failed;
        failed |= fails;
        fails.then_some(Scripted::Failure(Failure::Server { status: 502 }))
    });
    for number in 0..200 {
        context.line(number, "first").await;
    }
    context.until_lines(0, 1, secs(65)).await;
    let served = context.coder.state().agents.values().filter(|agent| !agent.log.is_empty()).count();
    assert!(served < 70, "{served} went before it");
}

#[tokio::test(start_paused = true)]
async fn waiting_agents_leave_at_least_half_of_a_limit_to_others() {
    let mut context = limited(512, 0);
    for number in 1_000..1_100 {
        context.open(number).await;
        context.line(number, "Created pod").await;
    }
    context.permit(secs(600)).await;
    let before = context.coder.state().requests.len();
    context.permit(secs(600)).await;
    let probes = (context.coder.state().requests.len() - before) / 10;
    assert!((220..=260).contains(&probes), "{probes} a minute");
    // There is room, so they do not delay a start.
    context.valid(1);
    context.open(1).await;
    context.line(1, "Created pod").await;
    let took = context.until_lines(1, 1, secs(1)).await;
    assert!(took <= 2 * LATENCY, "{took:?}");
    assert_eq!(refused(&context), 0);
}

#[tokio::test(start_paused = true)]
async fn as_many_waiting_agents_as_the_limit_lets_be_asked_every_second_are() {
    // 512 a minute allow eight a second, not nine.
    for wait in [10, 30, 600] {
        let mut context = limited(512, 7);
        for number in 0..8 {
            context.open(number).await;
            context.line(number, "Created pod").await;
        }
        context.permit(secs(wait)).await;
        for number in 0..8 {
            context.valid(number);
            let took = context.until_lines(number, 1, secs(2)).await;
            assert!(took <= secs(1) + LATENCY, "{number} after {wait} s: {took:?}");
        }
        assert_eq!(refused(&context), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_agents_valid_after_ten_seconds_under_the_default_limit_lose_nothing() {
    let mut context = limited(512, 20);
    for number in 0..1_000 {
        context.valid_at(number, context.start + secs(10));
        context.open(number).await;
        for line in 0..3 {
            context.line(number, format!("{line}")).await;
        }
    }
    let took =
        context.until(secs(900), "every line", |state| state.agents.values().all(|agent| agent.log.len() >= 3)).await;
    // 512 tries in the first ten seconds fail; the other 1,000 take 117 s from the next window on.
    assert!(took <= secs(230), "{took:?}");
    assert_eq!(refused(&context), 0);
    context.permit(LATENCY).await;
    assert_eq!(context.acked(), 3_000);
}

#[tokio::test(start_paused = true)]
async fn forged_claims_take_a_bounded_share() {
    let context = limited(512, 0);
    for number in 0..5_000 {
        context.outlet.prepare(agent(number));
        if number % 50 == 0 {
            context.permit(millis(10)).await;
        }
    }
    context.permit(secs(600)).await;
    let mut tries = HashMap::new();
    for request in &context.coder.state().requests {
        *tries.entry(request.agent).or_insert(0) += 1;
    }
    assert!(tries.values().all(|tries| *tries == 1));
    let per_minute = tries.len() / 10;
    assert!(per_minute <= 70, "{per_minute} a minute");
    assert_eq!(refused(&context), 0);
    assert!(context.metric("registrations_ignored_total") > 0.0);
}
